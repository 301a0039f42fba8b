"""From logits to probabilities and decisions; fitted in training, kept in the manifest.

Presence is calibrated by Platt scaling of its log-odds (Platt 1999), sentiments by a temperature
(Guo et al. 2017, arXiv:1706.04599).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ArtifactError

Array = npt.NDArray[np.float32]
_WHERE = "manifest.json: calibration"
_TABLES = {"labels", "signals", "thresholds"}
# Factors: with one that is not positive more log-odds would mean less probability.
_POSITIVE = {"slope", "mood_temperature", "feeling_temperature"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """Platt scaling: probability = sigmoid(slope * log-odds + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, log_odds: Array) -> Array:
        """Return probabilities of the same shape."""
        return np.asarray(np.exp(-np.logaddexp(0, -(self.slope * log_odds + self.intercept))))


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
    def from_manifest(cls, raw: object) -> Calibration:
        """Read the manifest's table. Raises `ArtifactError` where it does not fit."""
        values = _table(raw, {entry.name for entry in fields(cls)}, where=_WHERE)
        for kind in ("labels", "signals"):
            keys = {entry.name for entry in fields(Scaling)}
            scaling = _table(values[kind], keys, where=f"{_WHERE}.{kind}")
            values[kind] = Scaling(**_numbers(scaling, where=f"{_WHERE}.{kind}"))
        thresholds = _table(values["thresholds"], None, where=f"{_WHERE}.thresholds")
        values["thresholds"] = _numbers(thresholds, where=f"{_WHERE}.thresholds")
        single = {key: value for key, value in values.items() if key not in _TABLES}
        return cls(**{**values, **_numbers(single, where=_WHERE)})

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


def _table(value: object, keys: set[str] | None, *, where: str) -> dict[str, Any]:
    """Return a copy of a table that has these keys and no others (None: any)."""
    if not isinstance(value, Mapping):
        raise ArtifactError(f"{where} must be a table; fetch or train the model again")
    if keys is not None and set(value) != keys:
        key = sorted(set(value) ^ keys)[0]
        problem = "is missing" if key in keys else "is not known to this version"
        raise ArtifactError(f"{where}: the key {key!r} {problem}; fetch or train the model again")
    return dict(value)


def _numbers(table: Mapping[str, Any], *, where: str) -> dict[str, float]:
    for key, value in table.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
            raise ArtifactError(f"{where}: {key!r} must be a number, not {value!r:.40}")
        if key in _POSITIVE and value <= 0:
            raise ArtifactError(f"{where}: {key!r} must be greater than 0, not {value!r}")
    return {key: float(value) for key, value in table.items()}


def _finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False
