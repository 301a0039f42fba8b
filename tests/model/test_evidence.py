from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.clauses import clauses
from model.evidence import MARGIN, WordGrid
from model.text import words

NUMBERS = st.floats(-3, 3, width=32)


def grid_of(text: str) -> WordGrid:
    """Return a grid in which every word is one token."""
    spans = np.array(words(text), dtype=np.int64).reshape(-1, 2)
    return WordGrid(spans, words=words(text), clauses=clauses(text))


def found(text: str, scores: list[float], *, shift: float = 0.0, clause_cost: float = 0.0) -> str:
    run = grid_of(text).best_run(
        np.array(scores, dtype=np.float32), shift=shift, clause_cost=clause_cost
    )
    assert run is not None
    return text[slice(*run)]


def test_the_run_of_words_with_the_highest_sum_is_found():
    assert found("Die Hose war leider kaputt.", [-1, 2, -0.5, 1, 3]) == "Hose war leider kaputt"


def test_a_greater_shift_makes_evidence_shorter():
    text, scores = "the trousers arrived broken", [0.2, 0.6, 0.3, 2.0]
    assert found(text, scores) == text
    assert found(text, scores, shift=0.5) == "broken"


def test_where_no_word_speaks_for_the_label_the_best_single_one_is_named():
    assert found("ganz okay soweit", [-3, -1, -2]) == "okay"


def test_evidence_enters_another_clause_only_for_what_it_costs():
    text = "Lieferung war schnell, aber die Hose war kaputt."
    scores = [1, 1, 1, 0, 0, 0.5, 0.5, 0.5]
    assert found(text, scores, clause_cost=2.0) == "Lieferung war schnell"
    assert found(text, scores, clause_cost=1.0).endswith("kaputt")


def test_of_words_that_are_the_same_twice_the_first_is_taken_whatever_rounding_says():
    for noise in (-1e-6, 0.0, 1e-6):
        assert grid_of("laut, laut").best_run(
            np.array([1.0, 1.0 + noise], dtype=np.float32), shift=0.0, clause_cost=0.0
        ) == (0, 10)
        assert grid_of("laut, nie, laut").best_run(
            np.array([1.0, -2.0, 1.0 + noise], dtype=np.float32), shift=0.0, clause_cost=0.0
        ) == (0, 4)


def test_a_word_has_the_mean_of_its_tokens_and_punctuation_belongs_to_none():
    text = "Wahnsinnspreis!! gut"
    spans = np.array([(0, 5), (5, 10), (10, 14), (14, 16), (16, 20)])
    grid = WordGrid(spans, words=words(text), clauses=clauses(text))
    scores = np.array([3, -1, -1, 99, 0.5], dtype=np.float32)  # the mean of the first word is 1/3
    assert grid.best_run(scores, shift=0.4, clause_cost=0.0) == (17, 20)


def test_words_beyond_the_window_are_left_out():
    text = "eins zwei drei vier"
    spans = np.array([(5, 9), (9, 14)])
    grid = WordGrid(spans, words=words(text), clauses=clauses(text))
    run = grid.best_run(np.array([1.0, 1.0], dtype=np.float32), shift=0.0, clause_cost=1.0)
    assert run == (5, 14)


def test_without_a_word_there_is_no_evidence():
    spans = np.array([(0, 3)])
    grid = WordGrid(spans, words=words("!!!"), clauses=clauses("!!!"))
    assert grid.best_run(np.array([1.0], dtype=np.float32), shift=0.0, clause_cost=0.0) is None
    empty = np.zeros((0, 2), dtype=np.int64)
    grid = WordGrid(empty, words=words("eins"), clauses=clauses("eins"))
    assert grid.best_run(np.zeros(0, dtype=np.float32), shift=0.0, clause_cost=0.0) is None


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.sets(st.integers(1, 7)), NUMBERS, NUMBERS)
def test_no_other_run_is_better(scores: list[float], cuts: set[int], shift: float, cost: float):
    count, cost = len(scores), abs(cost)
    bounds = [(3 * i, 3 * i + 2) for i in range(count)]
    borders = sorted({0, *(cut for cut in cuts if cut < count), count})
    parts = [(3 * a, 3 * b - 1) for a, b in pairwise(borders)]
    grid = WordGrid(np.array(bounds), words=bounds, clauses=parts)

    def worth(first: int, last: int) -> float:
        crossed = sum(first < border <= last for border in borders)
        return sum(score - shift for score in scores[first : last + 1]) - cost * crossed

    run = grid.best_run(np.array(scores, dtype=np.float32), shift=shift, clause_cost=cost)
    assert run is not None
    best = max(worth(a, b) for a in range(count) for b in range(a, count))
    assert worth(run[0] // 3, (run[1] - 2) // 3) >= best - MARGIN - 1e-4
