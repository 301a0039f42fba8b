"""Evidence: the shortest run of whole words that carries a label, from a score for each token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Span = tuple[int, int]
# A later or longer run must be better by this much: rounding, which depends on the batch, moves
# scores by less, and so does not choose between words that are the same twice.
MARGIN = 1e-3


class WordGrid:
    """Which tokens make which words of one window, and where clauses end; made once a window.

    `spans` [T, 2] are the tokens' offsets, in order; words and clauses are spans in the same text.
    Words without a token (those beyond the window) are left out.
    """

    def __init__(self, spans: Ids, *, words: Sequence[Span], clauses: Sequence[Span]) -> None:
        bounds = np.array(words, dtype=np.int64).reshape(-1, 2)
        first = np.searchsorted(spans[:, 1], bounds[:, 0], side="right")
        last = np.searchsorted(spans[:, 0], bounds[:, 1], side="left")
        held = last > first
        self._words, self._first, self._last = bounds[held], first[held], last[held]
        starts = np.array([start for start, _ in clauses], dtype=np.int64)
        clause = np.searchsorted(starts, self._words[:, 0], side="right")
        self._crossed = np.diff(clause, prepend=clause[:1])

    def best_run(self, scores: Array, *, shift: float, clause_cost: float) -> Span | None:
        """Return the run of words with the highest sum of `score - shift`; None without any word.

        `scores` [T] are log-odds of the tokens; a word has the mean of its tokens. A run pays
        `clause_cost` for each end of a clause inside it: clauses cap evidence softly. Of runs that
        are alike the first and shortest is taken (Kadane's algorithm with a price on some steps).
        """
        if not len(self._words):
            return None
        sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
        worth = (sums[self._last] - sums[self._first]) / (self._last - self._first) - shift
        best, run = -np.inf, (0, 0)
        total, begin = 0.0, 0
        for i, (value, price) in enumerate(zip(worth, self._crossed * clause_cost, strict=True)):
            total -= price
            if total <= 0:
                total, begin = 0.0, i
            total += value
            if total > best + MARGIN:
                best, run = total, (begin, i)
        return int(self._words[run[0], 0]), int(self._words[run[1], 1])
