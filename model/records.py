"""The values that cross a border: frozen, named, and free of behaviour beyond reading them.

They are the nouns of this house. How they look in JSON is the business of serving.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Sentiment = Literal["negative", "neutral", "positive"]
SENTIMENTS: tuple[Sentiment, ...] = ("negative", "neutral", "positive")
Segment = Literal["detractor", "passive", "promoter"]
SEGMENTS: tuple[Segment, ...] = ("detractor", "passive", "promoter")
Language = Literal["de", "en", "other", "und"]
Priority = Literal["low", "normal", "high", "urgent"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high", "urgent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """What a customer wrote; `language` is the client's word (any tag), `score` is 0 to 10."""

    id: str
    text: str
    language: str | None = None
    score: int | None = None
    touchpoint: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def segment(self) -> Segment | None:
        """Return what follows from the score: detractor 0-6, passive 7-8, promoter 9-10."""
        if self.score is None:
            return None
        if self.score <= 6:
            return "detractor"
        return "passive" if self.score <= 8 else "promoter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Words of the text as it was sent; offsets count Unicode code points, `end` excluded."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """A label that the comment speaks about. Confidences are calibrated probabilities in 0..1."""

    label: str
    area: str
    sentiment: Sentiment
    confidence: float
    sentiment_confidence: float
    evidence: tuple[Evidence, ...] = ()
    untrained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalScore:
    """A signal that the words of the comment bear out."""

    signal: str
    confidence: float
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beliefs:
    """The calibrated probabilities of all that could be said of a comment, said or not.

    `labels` [L, 3]: that a label is there with a sentiment; `signals` [S]; `feeling` [3]: the
    comment's own sentiment. Labels and signals in the taxonomy's order, sentiments in `SENTIMENTS`.
    """

    labels: npt.NDArray[np.float32]
    signals: npt.NDArray[np.float32]
    feeling: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one comment says; labels and signals in falling order of confidence.

    `beliefs` are what was decided from; None where there was nothing to read.
    """

    language: str
    sentiment: Sentiment
    confidence: float
    labels: tuple[LabelScore, ...] = ()
    signals: tuple[SignalScore, ...] = ()
    truncated: bool = False
    beliefs: Beliefs | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which team has to act, how soon (hours from receipt), by which rule; `also`: other teams."""

    team: str
    priority: Priority
    due_hours: int
    actions: tuple[str, ...]
    rule: str
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why one comment got no answer; `code` is for programs, `message` for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The answer for one comment: a prediction with its route, or an error."""

    id: str
    segment: Segment | None = None
    prediction: Prediction | None = None
    route: Route | None = None
    needs_review: bool = False
    review_reasons: tuple[str, ...] = ()
    error: Failure | None = None
