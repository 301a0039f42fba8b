"""How sure a figure is: the bootstrap over comments (Efron 1979), paired for a difference.

A figure is a ratio of sums over comments (F1: hits over hits and half the mistakes). Each comment
adds to its numerator and denominator, and a draw of comments says how often each of them is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.records import Prediction
from model.routing import Router
from model.taxonomy import Taxonomy
from training.corpus import Example
from training.metrics import Metrics, Share, Tally, judge, micro

Array = npt.NDArray[np.float64]
DRAWS = 2000
LEVEL = 0.95
_SEED = 13
_Part = Callable[[Metrics], Tally | Share]
_PARTS: dict[str, _Part] = {
    "label_micro_f1": lambda metrics: micro(metrics.labels),
    "label_sentiment_micro_f1": lambda metrics: metrics.with_sentiment,
    "area_micro_f1": lambda metrics: micro(metrics.areas),
    "sentiment_accuracy": lambda metrics: metrics.sentiment,
    "signal_micro_f1": lambda metrics: micro(metrics.signals),
    "evidence_character_f1": lambda metrics: metrics.evidence,
    "route_accuracy": lambda metrics: metrics.route,
    "coarse_micro_f1": lambda metrics: micro(metrics.coarse),
}


@dataclass(frozen=True, slots=True)
class Interval:
    """The middle 95 % of the draws."""

    low: float
    high: float


def sums(
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    taxonomy: Taxonomy,
    router: Router | None = None,
) -> dict[str, Array]:
    """Return figure -> [comments, 2]: what each comment adds to numerator and denominator."""
    each = [
        judge([example], [prediction], taxonomy=taxonomy, router=router)
        for example, prediction in zip(examples, predictions, strict=True)
    ]
    return {
        name: np.array([_ratio(part(metrics)) for metrics in each], dtype=np.float64)
        for name, part in _PARTS.items()
    }


def _ratio(part: Tally | Share) -> tuple[float, float]:
    if isinstance(part, Share):
        return part.right, part.count
    return 2 * part.hits, 2 * part.hits + part.false + part.missed


def interval(rows: Array) -> Interval | None:
    """Return how far the figure of `rows` [comments, 2] may lie; None where nothing was judged."""
    if not rows[:, 1].any():
        return None
    return _middle(_figures(rows))


def difference(rows: Array, others: Array) -> Interval | None:
    """Return how far the figure of `rows` less that of `others` may lie, on the same comments."""
    if not rows[:, 1].any() or not others[:, 1].any():
        return None
    return _middle(_figures(rows) - _figures(others))


def _figures(rows: Array) -> Array:
    """Return the figure of each draw; the same comments are drawn for arrays of the same length."""
    rng = np.random.default_rng(_SEED)
    drawn = rng.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), size=DRAWS)
    numerator, denominator = (drawn @ rows).T
    return np.asarray(numerator / np.where(denominator > 0, denominator, 1))


def _middle(figures: Array) -> Interval:
    low, high = np.quantile(figures, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(round(float(low), 4), round(float(high), 4))
