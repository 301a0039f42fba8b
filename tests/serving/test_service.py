from __future__ import annotations

from model.records import Prediction
from tests.fakes import WordClassifier, word_service


def test_results_come_in_the_order_of_the_records():
    records = [{"id": str(n), "comment": "schnell" if n % 2 else "kaputt"} for n in range(10)]
    results = word_service().answer(records)
    assert [r.id for r in results] == [str(n) for n in range(10)]
    assert [r.prediction.labels[0].label for r in results][:2] == [
        "product.quality",
        "delivery.speed",
    ]


def test_a_bad_comment_gets_an_error_of_its_own_and_spoils_no_other():
    results = word_service().answer([{"comment": "kaputt"}, {"comment": 7, "id": "x"}, 3, None])
    assert [r.error is None for r in results] == [True, False, False, False]
    assert [r.id for r in results] == ["0", "x", "2", "3"]
    assert results[1].prediction is None


def test_a_comment_without_words_is_neutral_and_routed_by_its_score_without_the_model():
    classifier = WordClassifier()
    results = word_service(classifier).answer(
        [{"comment": None, "score": 0}, {"comment": " \n", "score": 10}, {"language": "en"}]
    )
    assert classifier.calls == []
    assert results[0].prediction == Prediction(language="und", sentiment="neutral", confidence=1.0)
    assert [r.route.priority for r in results] == ["high", "low", "low"]
    assert [r.needs_review for r in results] == [False] * 3
    assert results[2].prediction.language == "en"


def test_the_language_of_the_client_wins():
    results = word_service().answer(
        [{"comment": "schnell", "language": "de-AT"}, {"comment": "sehr schnell"}]
    )
    assert [r.prediction.language for r in results] == ["de", "de"]


def test_a_score_against_the_words_needs_a_look():
    promoter, passive = word_service().answer(
        [
            {"comment": "It arrived broken", "score": 10},
            {"comment": "It arrived broken", "score": 7},
        ]
    )
    assert promoter.needs_review
    assert promoter.review_reasons == ("score_against_words",)
    assert not passive.needs_review


def test_a_language_that_the_model_is_not_good_at_needs_a_look():
    (result,) = word_service().answer([{"comment": "C'était cassé", "language": "fr"}])
    assert result.review_reasons == ("language",)


def test_the_first_position_may_be_given():
    assert [r.id for r in word_service().answer([{}, {}], first=5)] == ["5", "6"]
