"""The forms of requests and answers, for OpenAPI and its readers.

They describe; reading a request is `serving/parsing.py`, writing an answer `serving/answers.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from model.records import Priority, Segment, Sentiment

EXAMPLE_TEXT = "Lieferung super schnell, aber die Hose war kaputt und am Telefon ging niemand ran."
EXAMPLE_REQUEST: JsonDict = {"comments": [{"id": "a1", "comment": EXAMPLE_TEXT, "score": 4}]}


class _Form(BaseModel):
    model_config = ConfigDict(use_attribute_docstrings=True, frozen=True, protected_namespaces=())


class CommentIn(_Form):
    """One comment as a survey tool exports it; fields that are not listed are ignored."""

    model_config = ConfigDict(extra="allow")

    comment: Annotated[str | None, Field(max_length=1_000_000)] = None
    """What the customer wrote; null or empty where there is only a score."""
    id: Annotated[str, Field(max_length=200)] | int | None = None
    """Comes back as a string; the position in the list (from 0) if missing."""
    score: Annotated[int, Field(ge=0, le=10)] | None = None
    """Net Promoter Score."""
    language: Annotated[str, Field(examples=["de", "en", "de-AT"])] | None = None
    """Language tag; yours wins over what the service would detect."""
    touchpoint: str | None = None
    """Where the customer was asked; routing rules may look at it."""
    properties: dict[str, Any] | None = None
    """Anything else that routing rules may look at."""


class ClassifyIn(_Form):
    """A list of comments."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [EXAMPLE_REQUEST]})

    comments: list[
        CommentIn | Annotated[Any, Field(description="Anything else gets an error of its own.")]
    ]
    """The comments; they are answered in the same order."""


class EvidenceOut(_Form):
    """A run of words; offsets count Unicode code points of the comment as it was sent."""

    start: Annotated[int, Field(ge=0)]
    end: Annotated[int, Field(ge=0)]
    text: str


class NamesOut(_Form):
    """A name in each language."""

    en: str
    de: str


class LabelOut(_Form):
    """A label that the comment speaks about, with its own sentiment and the words that carry it."""

    label: str
    name: NamesOut
    area: str
    sentiment: Sentiment
    confidence: Annotated[float, Field(ge=0, le=1)]
    """Calibrated probability that the comment speaks about it."""
    sentiment_confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[EvidenceOut]
    untrained: Literal[True] | None = None
    """Present where the label was added to the taxonomy after the model was trained."""


class SignalOut(_Form):
    """A signal that must not wait, with the words that bear it out."""

    signal: str
    name: NamesOut
    confidence: Annotated[float, Field(ge=0, le=1)]
    evidence: list[EvidenceOut]


class RouteOut(_Form):
    """Which team has to act, how soon (hours from receipt), and the rule that says so."""

    team: str
    priority: Priority
    due_hours: int
    actions: list[str]
    rule: str
    also: list[str]
    """Other teams whom the comment concerns."""


class ResultOut(_Form):
    """The answer for one comment."""

    id: str
    language: str
    """The client's word; else `de`, `en`, `other`, or `und` where there is nothing to judge."""
    score_type: Segment | None
    sentiment: Sentiment
    confidence: Annotated[float, Field(ge=0, le=1)]
    labels: list[LabelOut]
    signals: list[SignalOut]
    route: RouteOut
    needs_review: bool
    review_reasons: list[str]
    """`score_against_words`, `language`."""
    truncated: Literal[True] | None = None
    """Present where the comment was too long to be read whole."""


class ProblemOut(_Form):
    """Why there is no answer: `code` for programs, `message` for people."""

    code: str
    message: str


class FailedOut(_Form):
    """One comment that could not be read as a comment; its neighbours are answered."""

    id: str
    error: ProblemOut


class ClassifyOut(_Form):
    """The answers, in the order of the comments, and which model and taxonomy gave them."""

    model: str
    taxonomy: str
    """Fingerprint of the taxonomy."""
    results: list[ResultOut | FailedOut]


class ErrorDetailOut(ProblemOut):
    """What is wrong with the request as a whole."""

    details: dict[str, Any]


class ErrorOut(_Form):
    """The one shape of every error."""

    error: ErrorDetailOut


class AreaOut(_Form):
    """An area, the upper level of the taxonomy."""

    area: str
    name: NamesOut


class TermOut(_Form):
    """Name and meaning of a label."""

    label: str
    area: str
    name: NamesOut
    means: NamesOut


class SignalTermOut(_Form):
    """Name and meaning of a signal."""

    signal: str
    name: NamesOut
    means: NamesOut


class TaxonomyOut(_Form):
    """The vocabulary of the answers."""

    model: str
    taxonomy: str
    """Fingerprint, as in every answer."""
    sentiments: list[Sentiment]
    areas: list[AreaOut]
    labels: list[TermOut]
    signals: list[SignalTermOut]


class HealthOut(_Form):
    """Whether the process lives, or is ready to answer."""

    status: Literal["ok"]
