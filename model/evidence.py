"""Evidence: the shortest run of whole words that carries a label, from a score for each token.

Many questions are answered in one go, over arrays: one comment asks one or two, a list thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Ids = npt.NDArray[np.int64]
Span = tuple[int, int]
# The best run must be better than an earlier one by this much: rounding, which depends on the
# batch, moves scores by less, and so does not choose between words that are the same twice.
MARGIN = 1e-3
TOGETHER = 256  # questions whose tokens are padded to one length; bounds memory, not answers


@dataclass(frozen=True, slots=True)
class Passage:
    """One window: `spans` [T, 2] are its tokens' offsets, in order, none of them empty.

    Words and clauses are spans in the same text; words without a token, those beyond the window,
    are left out.
    """

    spans: Ids
    words: Sequence[Span]
    clauses: Sequence[Span]


@dataclass(frozen=True, slots=True)
class Question:
    """Which words of a passage (its number) carry a row? `scores` [T] are log-odds by token."""

    passage: int
    scores: Array
    shift: float


def best_runs(
    passages: Sequence[Passage], questions: Sequence[Question], *, clause_cost: float
) -> list[Span | None]:
    """Return for each question the run of words with the highest sum of `score - shift`.

    A word has the mean of its tokens. A run pays `clause_cost` for each end of a clause inside it:
    clauses cap evidence softly. Of runs that are alike the first and shortest is taken. None where
    a passage has no word.
    """
    grid = _Grid.of(passages)
    found: list[Span | None] = [None] * len(questions)
    asked = [n for n, question in enumerate(questions) if grid.counts[question.passage]]
    asked.sort(key=lambda n: len(questions[n].scores))
    for start in range(0, len(asked), TOGETHER):
        group = asked[start : start + TOGETHER]
        runs = _runs(grid, [questions[n] for n in group], clause_cost=clause_cost)
        for n, run in zip(group, runs, strict=True):
            found[n] = run
    return found


def _runs(grid: _Grid, questions: Sequence[Question], *, clause_cost: float) -> Iterator[Span]:
    """Yield the best runs: Kadane's algorithm with a price on some steps, over prefix sums."""
    passages = np.array([question.passage for question in questions])
    counts = grid.counts[passages]
    column = np.arange(counts.max())
    held = column < counts[:, None]
    places = grid.begins[passages][:, None] + np.where(held, column, 0)
    worth = _worth(questions, grid.first[places], grid.last[places])
    # The sum of a run from word b to word i is gain[i] - before[b]; entering word b costs nothing.
    gain = np.cumsum(worth - grid.crossed[places] * clause_cost, axis=1)
    before = gain - worth
    least = np.minimum.accumulate(before, axis=1)
    total = np.where(held, gain - least, -np.inf)
    end = (total >= total.max(1, keepdims=True) - MARGIN).argmax(1)
    begin = np.maximum.accumulate(np.where(before <= least, column, 0), axis=1)
    rows = np.arange(len(questions))
    starts = grid.words[places[rows, begin[rows, end]], 0]
    ends = grid.words[places[rows, end], 1]
    return zip(starts.tolist(), ends.tolist(), strict=True)


def _worth(questions: Sequence[Question], first: Ids, last: Ids) -> Array:
    """Return what each word speaks for its row [questions, words]; `last` is excluded."""
    width = max(len(question.scores) for question in questions)
    scores = np.zeros((len(questions), width))
    for row, question in zip(scores, questions, strict=True):
        row[: len(question.scores)] = question.scores
    sums = np.zeros((len(questions), width + 1))
    np.cumsum(scores, axis=1, out=sums[:, 1:])
    whole = np.take_along_axis(sums, last, 1) - np.take_along_axis(sums, first, 1)
    shifts = np.array([question.shift for question in questions])
    return np.asarray(whole / (last - first) - shifts[:, None])


@dataclass(frozen=True, slots=True)
class _Grid:
    """Which tokens make which words, and where clauses end, for the words of all passages in a row.

    The words of passage p are those from `begins[p]` on, `counts[p]` of them; `first` and `last`
    count the passage's own tokens. `crossed`: ends of clauses between the word before and this.
    """

    words: Ids
    first: Ids
    last: Ids
    crossed: Ids
    begins: Ids
    counts: Ids

    @classmethod
    def of(cls, passages: Sequence[Passage]) -> _Grid:
        words = _flat(passage.words for passage in passages)
        tokens = np.concatenate([np.zeros((0, 2), np.int64), *(p.spans for p in passages)])
        clauses = _flat(passage.clauses for passage in passages)
        numbers = np.arange(len(passages))
        # Offsets in one text of all texts, so that one search serves all passages.
        stride = 1 + max(int(words.max(initial=0)), int(tokens.max(initial=0)))
        of_word = np.repeat(numbers, [len(p.words) for p in passages])
        sizes = [len(passage.spans) for passage in passages]
        tokens += np.repeat(numbers, sizes)[:, None] * stride
        places = words + of_word[:, None] * stride
        first = np.searchsorted(tokens[:, 1], places[:, 0], side="right")
        last = np.searchsorted(tokens[:, 0], places[:, 1], side="left")
        held = last > first
        words, of_word, places = words[held], of_word[held], places[held]
        skipped = (np.cumsum(sizes, dtype=np.int64) - sizes)[of_word]
        starts = clauses[:, 0] + np.repeat(numbers, [len(p.clauses) for p in passages]) * stride
        clause = np.searchsorted(starts, places[:, 0], side="right")
        counts = np.bincount(of_word, minlength=len(passages))
        begins = np.cumsum(counts) - counts
        crossed = np.diff(clause, prepend=clause[:1])
        crossed[begins[counts > 0]] = 0
        return cls(words, first[held] - skipped, last[held] - skipped, crossed, begins, counts)


def _flat(spans: Iterable[Sequence[Span]]) -> Ids:
    """Return all spans of all passages [N, 2]."""
    numbers = chain.from_iterable(chain.from_iterable(spans))
    return np.fromiter(numbers, dtype=np.int64).reshape(-1, 2)
