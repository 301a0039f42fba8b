"""Whether a confidence means what it says: of four decisions at .75, three should be right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from model.taxonomy import Taxonomy
from training.corpus import Example

Array = npt.NDArray[np.float32]
FLOOR = 0.2  # below it nobody is told of a label, and most of them would say nothing
BINS = 15


def calibration_error(
    probabilities: Array, examples: Sequence[Example], taxonomy: Taxonomy
) -> float | None:
    """Return the expected calibration error of labels; None where nothing reaches the floor.

    `probabilities` [comments, labels]. Decisions from `FLOOR` up are sorted into `BINS` of equal
    count; the error is the mean gap between confidence and share of right ones, weighted by count
    (Nguyen and O'Connor 2015, arXiv:1508.05154, for bins of equal count). What is not annotated is
    left out.
    """
    chosen, right = [], []
    for row, example in zip(probabilities, examples, strict=True):
        if example.judged:
            continue  # coarse: nobody said which label it is
        for column, label in enumerate(taxonomy.labels):
            if row[column] >= FLOOR and (label in example.labels or label in example.absent):
                chosen.append(float(row[column]))
                right.append(label in example.labels)
    if not chosen:
        return None
    order = np.argsort(chosen, kind="stable")
    said, true = np.array(chosen)[order], np.array(right, dtype=float)[order]
    gaps = [
        len(part) * abs(float(part.mean() - share.mean()))
        for part, share in zip(np.array_split(said, BINS), np.array_split(true, BINS), strict=True)
        if len(part)
    ]
    return float(sum(gaps) / len(said))
