"""Fit calibration and thresholds on data made for it, never on what is judged later.

What is fitted belongs to the exported graph as it will serve, quantisation included.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from model.calibration import Calibration, Scaling, presence_log_odds, signal_log_odds, softmax
from model.records import SENTIMENTS
from model.taxonomy import Taxonomy
from training.corpus import Example

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
OWN_THRESHOLD_POSITIVES = 20  # a label with fewer positives takes the shared threshold
# A label's own threshold counts as much as the shared one where it has so many positives. Unshrunk
# ones lost .008 micro-F1 against the shared one alone in cross-validation on 500 comments.
SHRINKAGE_POSITIVES = 60
LIMITS = (0.15, 0.85)  # outside them a threshold would rest on a handful of comments
_GRID = np.arange(LIMITS[0], LIMITS[1] + 0.005, 0.01)


def fit_calibration(
    logits: Array,
    examples: Sequence[Example],
    *,
    taxonomy: Taxonomy,
    miss_costs: Mapping[str, float] | None = None,
) -> Calibration:
    """Return the calibration for logits [comments, R, 4]; rows: labels, signals, comment.

    Only what is annotated counts. Parts with too little to fit stay at their defaults. A signal in
    `miss_costs` (how many false alarms one miss costs) is raised from the probability on at which
    that costs least (Elkan 2001, "The foundations of cost-sensitive learning"), not for best F1.
    """
    count = len(taxonomy.labels)
    truth, known = _label_truth(examples, list(taxonomy.labels))
    warned, warned_known = _signal_truth(examples, list(taxonomy.signals))
    log_odds = presence_log_odds(logits[:, :count])
    warning = signal_log_odds(logits[:, count:-1])
    result = Calibration(
        labels=_platt(log_odds[known], truth[known]),
        signals=_platt(warning[warned_known], warned[warned_known]),
        mood_temperature=_temperature(*_moods(logits, examples, list(taxonomy.labels))),
        feeling_temperature=_temperature(*_feelings(logits, examples)),
    )
    labels, shared_label = _thresholds(result.labels(log_odds), truth, known)
    signals, shared_signal = _thresholds(result.signals(warning), warned, warned_known)
    own = {name: t for name, t in zip(taxonomy.labels, labels, strict=True) if t is not None}
    own |= {
        f"signal:{name}": t
        for name, t in zip(taxonomy.signals, signals, strict=True)
        if t is not None
    }
    own |= {f"signal:{name}": round(1 / (1 + cost), 3) for name, cost in (miss_costs or {}).items()}
    log.info("%d thresholds of their own, shared %.2f", len(own), shared_label)
    return replace(
        result,
        shared_label_threshold=shared_label,
        shared_signal_threshold=shared_signal,
        thresholds=own,
    )


def fit_evidence(calibration: Calibration, score: Callable[[Calibration], float]) -> Calibration:
    """Return the calibration with the evidence shift and clause cost that score best."""
    choices = [
        replace(calibration, evidence_shift=shift, clause_cost=cost)
        for shift in (-3.0, -2.0, -1.5, -1.0, -0.5, 0.0)
        for cost in (1.0, 4.0, 8.0)
    ]
    scores = [score(choice) for choice in choices]
    best = int(np.argmax(scores))
    log.info(
        "evidence shift %.1f, clause cost %.1f, character F1 %.3f",
        choices[best].evidence_shift,
        choices[best].clause_cost,
        scores[best],
    )
    return choices[best]


def _label_truth(
    examples: Sequence[Example], labels: list[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which labels are present, and which are known at all: [comments, L] each."""
    truth = np.array([[label in e.labels for label in labels] for e in examples])
    known = np.array(
        [[label in e.labels or label in e.absent for label in labels] for e in examples]
    )
    return truth, known


def _signal_truth(
    examples: Sequence[Example], signals: list[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    shape = (len(examples), len(signals))
    truth = np.zeros(shape, dtype=bool)
    known = np.zeros(shape, dtype=bool)
    for row, example in enumerate(examples):
        if example.signals is not None:
            known[row] = True
            truth[row] = [signal in example.signals for signal in signals]
    return truth, known


def _platt(log_odds: Array, truth: npt.NDArray[np.bool_]) -> Scaling:
    """Return the scaling of the greatest likelihood, the identity where one class is missing."""
    if truth.all() or not truth.any():
        return Scaling()

    def cost(parameters: Array) -> float:
        z = parameters[0] * log_odds + parameters[1]
        return float(np.where(truth, np.logaddexp(0, -z), np.logaddexp(0, z)).mean())

    slope, intercept = minimize(cost, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return Scaling(slope=round(float(max(slope, 0.05)), 4), intercept=round(float(intercept), 4))


def _temperature(logits: Array, truth: npt.NDArray[np.int64]) -> float:
    if len(truth) < OWN_THRESHOLD_POSITIVES:
        return 1.0
    grid = np.exp(np.linspace(np.log(0.5), np.log(4.0), 43))
    rows = np.arange(len(truth))
    costs = [-np.log(softmax(logits / t)[rows, truth] + 1e-9).mean() for t in grid]
    return round(float(grid[int(np.argmin(costs))]), 3)


def _moods(
    logits: Array, examples: Sequence[Example], labels: list[str]
) -> tuple[Array, npt.NDArray[np.int64]]:
    found = [
        (logits[row, labels.index(label), 1:], SENTIMENTS.index(note.sentiment))
        for row, example in enumerate(examples)
        for label, note in example.labels.items()
        if note.sentiment is not None
    ]
    return _stacked(found)


def _feelings(logits: Array, examples: Sequence[Example]) -> tuple[Array, npt.NDArray[np.int64]]:
    found = [
        (logits[row, -1, 1:], SENTIMENTS.index(example.sentiment))
        for row, example in enumerate(examples)
        if example.sentiment is not None
    ]
    return _stacked(found)


def _stacked(found: list[tuple[Array, int]]) -> tuple[Array, npt.NDArray[np.int64]]:
    logits = np.array([row for row, _ in found], dtype=np.float32).reshape(-1, len(SENTIMENTS))
    return logits, np.array([truth for _, truth in found], dtype=np.int64)


def _thresholds(
    probability: Array, truth: npt.NDArray[np.bool_], known: npt.NDArray[np.bool_]
) -> tuple[list[float | None], float]:
    """Return each row's own threshold (None: too few positives) and the shared one, by best F1."""
    if not truth.any():
        return [None] * truth.shape[1], 0.5
    shared = _best_threshold(probability[known], truth[known], around=0.5)
    own: list[float | None] = []
    for row, k in enumerate(known.T):
        positives = int(truth[k, row].sum())
        if positives < OWN_THRESHOLD_POSITIVES:
            own.append(None)
            continue
        best = _best_threshold(probability[k, row], truth[k, row], around=shared)
        share = positives / (positives + SHRINKAGE_POSITIVES)
        own.append(round(share * best + (1 - share) * shared, 3))
    return own, shared


def _best_threshold(probability: Array, truth: npt.NDArray[np.bool_], *, around: float) -> float:
    """Return the middle of the thresholds within a hair of the best F1, closest to `around`."""
    scores = []
    grid: list[float] = _GRID.tolist()
    for threshold in grid:
        said = probability >= threshold
        hits = int((said & truth).sum())
        scores.append(2 * hits / max(1, int(said.sum()) + int(truth.sum())))
    good = [t for t, f1 in zip(grid, scores, strict=True) if f1 >= max(scores) - 0.005]
    middle = float(np.median(good))
    best = min(good, key=lambda t: (abs(t - middle), abs(t - around)))
    return round(best, 3)
