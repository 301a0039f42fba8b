"""Small real things that keep the promises of the big ones: the API runs without weights."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Event

from model.records import Comment, Evidence, LabelScore, Prediction, Route, Sentiment, SignalScore
from model.taxonomy import Taxonomy, load_taxonomy
from serving.service import Service

# Word -> label and sentiment: a keyword scorer of three lines.
WORDS: Mapping[str, tuple[str, Sentiment]] = {
    "schnell": ("delivery.speed", "positive"),
    "fast": ("delivery.speed", "positive"),
    "kaputt": ("product.quality", "negative"),
    "broken": ("product.quality", "negative"),
}
SIGNALS = {"kündige": "churn", "leaving": "churn"}
GERMAN = {"der", "die", "das", "und", "ich", "ist", "war", "aber", "sehr"}


class WordClassifier:
    """Finds words in texts. A call takes `seconds`, and waits until `gate` is set."""

    name = "words-1"
    languages = ("de", "en")

    def __init__(
        self, *, seconds: float = 0.0, gate: Event | None = None, taxonomy: Taxonomy | None = None
    ) -> None:
        self.taxonomy = taxonomy or load_taxonomy()
        self.calls: list[int] = []
        self._seconds = seconds
        self._gate = gate

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""
        self.calls.append(len(comments))
        if self._gate:
            self._gate.wait(timeout=10)
        time.sleep(self._seconds)
        return [self._read(comment.text) for comment in comments]

    def _read(self, text: str) -> Prediction:
        lower = text.lower() if len(text.lower()) == len(text) else text
        labels = tuple(
            LabelScore(
                label=label,
                area=self.taxonomy.labels[label].area,
                sentiment=sentiment,
                confidence=0.9,
                sentiment_confidence=0.8,
                evidence=(_evidence(text, lower.index(word), len(word)),),
            )
            for word, (label, sentiment) in WORDS.items()
            if word in lower
        )
        signals = tuple(
            SignalScore(
                signal=signal,
                confidence=0.7,
                evidence=(_evidence(text, lower.index(word), len(word)),),
            )
            for word, signal in SIGNALS.items()
            if word in lower
        )
        words = set(lower.split())
        language = "de" if words & GERMAN else "en" if any(c.isalpha() for c in text) else "und"
        sentiment: Sentiment = labels[-1].sentiment if labels else "neutral"
        return Prediction(
            language=language,
            sentiment=sentiment,
            confidence=0.95,
            labels=labels,
            signals=signals,
            truncated=len(text) > 10_000,
        )


class FirstLabelRouter:
    """Sends a comment to the team named like the area of its first label."""

    def route(self, prediction: Prediction, comment: Comment) -> Route:
        """Return who has to act; a low score makes it urgent."""
        team = prediction.labels[0].area if prediction.labels else "nobody"
        return Route(
            team=team,
            priority="high" if comment.segment == "detractor" else "low",
            due_hours=24,
            actions=(),
            rule="first-label",
        )


class FailingClassifier(WordClassifier):
    """Fails with the text of the comment in its message, as careless code does."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Raise for any comment but the one that the service tries at its start."""
        if comments[0].text != "ok":
            raise RuntimeError(f"cannot read {comments[0].text}")
        return super().classify(comments)


def word_service(classifier: WordClassifier | None = None) -> Service:
    """Return a service over the fakes."""
    return Service(classifier or WordClassifier(), FirstLabelRouter())


def _evidence(text: str, start: int, length: int) -> Evidence:
    return Evidence(start=start, end=start + length, text=text[start : start + length])
