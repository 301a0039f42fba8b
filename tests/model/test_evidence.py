from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.clauses import clauses
from model.evidence import MARGIN, TOGETHER, Passage, Question, best_runs
from model.text import words

NUMBERS = st.floats(-3, 3, width=32)


def passage_of(text: str) -> Passage:
    """Return a passage in which every word is one token."""
    spans = np.array(words(text), dtype=np.int64).reshape(-1, 2)
    return Passage(spans, words(text), clauses(text))


def best_run(
    passage: Passage, scores: list[float], *, shift: float = 0.0, clause_cost: float = 0.0
) -> tuple[int, int] | None:
    question = Question(0, np.array(scores, dtype=np.float32), shift)
    (run,) = best_runs([passage], [question], clause_cost=clause_cost)
    return run


def found(text: str, scores: list[float], *, shift: float = 0.0, clause_cost: float = 0.0) -> str:
    run = best_run(passage_of(text), scores, shift=shift, clause_cost=clause_cost)
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
        assert best_run(passage_of("laut, laut"), [1.0, 1.0 + noise]) == (0, 10)
        assert best_run(passage_of("laut, nie, laut"), [1.0, -2.0, 1.0 + noise]) == (0, 4)


def test_a_word_has_the_mean_of_its_tokens_and_punctuation_belongs_to_none():
    text = "Wahnsinnspreis!! gut"
    spans = np.array([(0, 5), (5, 10), (10, 14), (14, 16), (16, 20)])
    passage = Passage(spans, words(text), clauses(text))
    scores = [3, -1, -1, 99, 0.5]  # the mean of the first word is 1/3
    assert best_run(passage, scores, shift=0.4) == (17, 20)


def test_words_beyond_the_window_are_left_out():
    text = "eins zwei drei vier"
    passage = Passage(np.array([(5, 9), (9, 14)]), words(text), clauses(text))
    assert best_run(passage, [1.0, 1.0], clause_cost=1.0) == (5, 14)


def test_without_a_word_there_is_no_evidence():
    assert best_run(Passage(np.array([(0, 3)]), words("!!!"), clauses("!!!")), [1.0]) is None
    empty = np.zeros((0, 2), dtype=np.int64)
    assert best_run(Passage(empty, words("eins"), clauses("eins")), []) is None
    assert best_runs([], [], clause_cost=1.0) == []


def test_each_of_many_questions_gets_the_answer_that_it_gets_alone():
    rng = np.random.default_rng(2)
    texts = ["laut", "!!!", "Die Hose war leider kaputt, aber der Laden hilft.", "Nett; zu teuer."]
    passages = [passage_of(text) for text in texts * 3]
    questions = [
        Question(n, rng.normal(0, 2, len(passage.spans)).astype(np.float32), shift)
        for n, passage in enumerate(passages)
        for shift in rng.normal(0, 1, TOGETHER // 8)
    ]
    assert len(questions) > TOGETHER
    together = best_runs(passages, questions, clause_cost=0.7)
    for question, run in zip(questions, together, strict=True):
        alone = Question(0, question.scores, question.shift)
        assert best_runs([passages[question.passage]], [alone], clause_cost=0.7) == [run]
    assert len(set(together)) > 8


@given(st.lists(NUMBERS, min_size=1, max_size=8), st.sets(st.integers(1, 7)), NUMBERS, NUMBERS)
def test_no_other_run_is_better(scores: list[float], cuts: set[int], shift: float, cost: float):
    count, cost = len(scores), abs(cost)
    bounds = [(3 * i, 3 * i + 2) for i in range(count)]
    borders = sorted({0, *(cut for cut in cuts if cut < count), count})
    parts = [(3 * a, 3 * b - 1) for a, b in pairwise(borders)]
    passage = Passage(np.array(bounds), bounds, parts)

    def worth(first: int, last: int) -> float:
        crossed = sum(first < border <= last for border in borders)
        return sum(score - shift for score in scores[first : last + 1]) - cost * crossed

    run = best_run(passage, scores, shift=shift, clause_cost=cost)
    assert run is not None
    best = max(worth(a, b) for a in range(count) for b in range(a, count))
    assert worth(run[0] // 3, (run[1] - 2) // 3) >= best - MARGIN - 1e-4
