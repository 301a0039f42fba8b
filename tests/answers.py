"""What must hold of any answer, and of two answers to the same comment."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from model.records import Evidence, LabelScore, Prediction, SignalScore

ROUNDING = 0.005  # a probability may differ by this much from batch to batch


def evidence_of(prediction: Prediction) -> list[Evidence]:
    """Return all evidence of a prediction."""
    scores: Sequence[LabelScore | SignalScore] = (*prediction.labels, *prediction.signals)
    return [evidence for score in scores for evidence in score.evidence]


def assert_slices(prediction: Prediction, text: str) -> None:
    """Assert that evidence is what the text as it was sent has at these offsets."""
    for evidence in evidence_of(prediction):
        assert 0 <= evidence.start < evidence.end <= len(text)
        assert evidence.text == text[evidence.start : evidence.end]


def assert_same_answer(one: Prediction, other: Prediction) -> None:
    """Assert the same decisions and evidence; probabilities may differ by less than `ROUNDING`."""
    assert (one.language, one.sentiment, one.truncated) == (
        other.language,
        other.sentiment,
        other.truncated,
    )
    assert one.confidence == pytest.approx(other.confidence, abs=ROUNDING)
    labels = {label.label: label for label in other.labels}
    assert {label.label for label in one.labels} == set(labels)
    for label in one.labels:
        twin = labels[label.label]
        assert (label.sentiment, label.evidence) == (twin.sentiment, twin.evidence)
        assert label.confidence == pytest.approx(twin.confidence, abs=ROUNDING)
        assert label.sentiment_confidence == pytest.approx(twin.sentiment_confidence, abs=ROUNDING)
    signals = {signal.signal: signal for signal in other.signals}
    assert {signal.signal for signal in one.signals} == set(signals)
    for signal in one.signals:
        assert signal.evidence == signals[signal.signal].evidence
        assert signal.confidence == pytest.approx(signals[signal.signal].confidence, abs=ROUNDING)
