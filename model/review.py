"""When a person should look at an answer: pure rules beside the calibrated risk of a route.

A comment's words are the customer's: the score never overrules them, and a contradiction is a
reason to look.
"""

from __future__ import annotations

from collections.abc import Collection

from model.records import Comment, Prediction, Segment, Sentiment

GOOD_LANGUAGES = frozenset({"de", "en"})
# A passive customer may well write warm or cold words: no contradiction.
_AGAINST: frozenset[tuple[Segment | None, Sentiment]] = frozenset(
    {("detractor", "positive"), ("promoter", "negative")}
)


def review_reasons(
    prediction: Prediction,
    comment: Comment,
    *,
    good_languages: Collection[str] = GOOD_LANGUAGES,
) -> tuple[str, ...]:
    """Return why the answer needs a look: `score_against_words`, `language`, or nothing.

    `good_languages` are those that the model is good at. `und` (nothing to judge, an emoji for
    example) is no reason.
    """
    reasons: list[str] = []
    if (comment.segment, prediction.sentiment) in _AGAINST:
        reasons.append("score_against_words")
    if prediction.language != "und" and prediction.language not in good_languages:
        reasons.append("language")
    return tuple(reasons)
