"""Evidence: the shortest run of whole words that carries a label, from a score for each token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Span = tuple[int, int]


class WordGrid:
    """Which tokens make which words of one window, and where clauses end; made once a window."""

    def __init__(self, spans: Ids, words: Sequence[Span], clauses: Sequence[Span]) -> None:
        self._words = np.array(words, dtype=np.int64).reshape(-1, 2)
        first = np.searchsorted(spans[:, 1], self._words[:, 0], side="right")
        last = np.searchsorted(spans[:, 0], self._words[:, 1], side="left")
        held = last > first  # words beyond the window hold none of its tokens
        self._words, self._first, self._last = self._words[held], first[held], last[held]
        borders = np.array([start for start, _ in clauses], dtype=np.int64)
        place = np.searchsorted(borders, self._words[:, 0], side="right")
        self._enters_clause = np.diff(place, prepend=place[:1]) > 0

    def best_run(self, scores: Array, *, shift: float, clause_cost: float) -> Span | None:
        """Return the run of words with the highest sum of `score - shift`; None without any word.

        `scores` [T] are log-odds of the tokens; a word has the mean of its tokens. A run that enters
        another clause pays `clause_cost` for it: clauses cap evidence softly.
        """
        if not len(self._words):
            return None
        sums = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
        worth = (sums[self._last] - sums[self._first]) / (self._last - self._first) - shift
        best, span = -np.inf, (0, 0)
        total, begin = 0.0, 0
        for i, value in enumerate(worth.tolist()):
            carried = total - clause_cost if self._enters_clause[i] else total
            if carried <= 0:
                carried, begin = 0.0, i
            total = carried + value
            if total > best:
                best, span = total, (begin, i)
        return int(self._words[span[0], 0]), int(self._words[span[1], 1])
