from __future__ import annotations

import pytest

from model.records import SENTIMENTS, Comment, Prediction, Sentiment
from model.review import review_reasons


def reasons(score: int | None, sentiment: Sentiment, language: str = "de") -> tuple[str, ...]:
    prediction = Prediction(language=language, sentiment=sentiment, confidence=0.9)
    return review_reasons(prediction, Comment(id="1", text="Gut.", score=score))


@pytest.mark.parametrize("score", [0, 6])
def test_a_detractor_with_positive_words_is_reviewed(score):
    assert reasons(score, "positive") == ("score_against_words",)


@pytest.mark.parametrize("score", [9, 10])
def test_a_promoter_with_negative_words_is_reviewed(score):
    assert reasons(score, "negative") == ("score_against_words",)


@pytest.mark.parametrize("sentiment", SENTIMENTS)
@pytest.mark.parametrize("score", [7, 8, None])
def test_a_passive_or_unknown_score_never_contradicts_the_words(score, sentiment):
    assert reasons(score, sentiment) == ()


@pytest.mark.parametrize(
    ("score", "sentiment"), [(2, "negative"), (10, "positive"), (0, "neutral")]
)
def test_words_that_fit_the_score_need_no_review(score, sentiment):
    assert reasons(score, sentiment) == ()


@pytest.mark.parametrize(
    ("language", "expected"),
    [("de", ()), ("en", ()), ("und", ()), ("other", ("language",)), ("fr", ("language",))],
)
def test_a_language_that_the_model_is_not_good_at_is_reviewed(language, expected):
    assert reasons(None, "neutral", language) == expected


def test_the_languages_a_model_is_good_at_are_given_by_its_caller():
    prediction = Prediction(language="en", sentiment="negative", confidence=0.9)
    comment = Comment(id="1", text="Too late.", score=10)
    assert review_reasons(prediction, comment, good_languages={"de"}) == (
        "score_against_words",
        "language",
    )
