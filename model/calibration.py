"""From logits to probabilities and decisions; the numbers are fitted in training and live in the manifest.

Presence is calibrated by Platt scaling of its log-odds (Platt 1999), sentiments by a temperature
(Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ArtifactError

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Platt scaling: probability = sigmoid(slope * log-odds + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, log_odds: Array) -> Array:
        """Return probabilities of the same shape."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * log_odds + self.intercept))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """All that turns logits into decisions. `thresholds` holds those of a row's own, by row id."""

    labels: Scaling = field(default_factory=Scaling)
    signals: Scaling = field(default_factory=Scaling)
    mood_temperature: float = 1.0
    feeling_temperature: float = 1.0
    shared_label_threshold: float = 0.5
    shared_signal_threshold: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    evidence_shift: float = 0.0
    clause_cost: float = 1.0

    @classmethod
    def from_manifest(cls, raw: Mapping[str, Any]) -> Calibration:
        """Read the manifest's table. Raises `ArtifactError` where it does not fit."""
        try:
            values = dict(raw)
            for kind in ("labels", "signals"):
                values[kind] = Scaling(**values[kind])
            return cls(**values)
        except (TypeError, KeyError):
            raise ArtifactError(
                "manifest.json: [calibration] is of another version; fetch or train the model again"
            ) from None

    def to_manifest(self) -> dict[str, Any]:
        """Return the table that `from_manifest` reads."""
        return asdict(self)

    def presence(self, logits: Array) -> Array:
        """Return the probability that a label is present: [..., 4] -> [...]."""
        return self.labels(presence_log_odds(logits))

    def warning(self, logits: Array) -> Array:
        """Return the probability that a signal is present: [..., 4] -> [...]."""
        return self.signals(signal_log_odds(logits))

    def mood(self, logits: Array) -> Array:
        """Return a present label's probabilities of the three sentiments: [..., 4] -> [..., 3]."""
        return softmax(logits[..., 1:] / self.mood_temperature)

    def feeling(self, logits: Array) -> Array:
        """Return the comment's probabilities of the three sentiments: [..., 4] -> [..., 3]."""
        return softmax(logits[..., 1:] / self.feeling_temperature)

    def label_threshold(self, label: str) -> float:
        """Return the probability from which a label counts as present."""
        return self.thresholds.get(label, self.shared_label_threshold)

    def signal_threshold(self, signal: str) -> float:
        """Return the probability from which a signal counts as present."""
        return self.thresholds.get(f"signal:{signal}", self.shared_signal_threshold)


def presence_log_odds(logits: Array) -> Array:
    """Return the log-odds of any sentiment against absence: [..., 4] -> [...]."""
    top = logits[..., 1:].max(-1)
    return np.asarray(
        top + np.log(np.exp(logits[..., 1:] - top[..., None]).sum(-1)) - logits[..., 0]
    )


def signal_log_odds(logits: Array) -> Array:
    """Return the log-odds of a signal: [..., 4] -> [...]."""
    return np.asarray(logits[..., 1] - logits[..., 0])


def softmax(logits: Array) -> Array:
    """Return probabilities over the last axis."""
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(raised / raised.sum(-1, keepdims=True))
