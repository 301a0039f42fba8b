"""Whether a confidence means what it says: of four decisions at .75, three should be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.taxonomy import Taxonomy
from training.corpus import Example

Array = npt.NDArray[np.float32]
FLOOR = 0.2  # below it nobody is told of a label, and most of them would say nothing
BINS = 15


@dataclass(frozen=True, slots=True)
class Bin:
    """Decisions of about the same confidence: what was said on average, and how many are right."""

    said: float
    right: float
    count: int


def reliability(probabilities: Array, examples: Sequence[Example], taxonomy: Taxonomy) -> list[Bin]:
    """Return the bins of labels, the least confident first; none where nothing reaches the floor.

    `probabilities` [comments, labels]. Decisions from `FLOOR` up are sorted into `BINS` of equal
    count (Nguyen and O'Connor 2015, arXiv:1508.05154). What is not annotated is left out.
    """
    chosen, right = [], []
    for row, example in zip(probabilities, examples, strict=True):
        if example.judged:
            continue  # coarse: nobody said which label it is
        for column, label in enumerate(taxonomy.labels):
            if row[column] >= FLOOR and (label in example.labels or label in example.absent):
                chosen.append(float(row[column]))
                right.append(label in example.labels)
    order = np.argsort(chosen, kind="stable")
    said, true = np.array(chosen)[order], np.array(right, dtype=float)[order]
    return [
        Bin(float(part.mean()), float(share.mean()), len(part))
        for part, share in zip(np.array_split(said, BINS), np.array_split(true, BINS), strict=True)
        if len(part)
    ]


def calibration_error(bins: Sequence[Bin]) -> float | None:
    """Return the mean gap between confidence and share of right ones, weighted by count."""
    if not bins:
        return None
    gaps = [found.count * abs(found.said - found.right) for found in bins]
    return sum(gaps) / sum(found.count for found in bins)
