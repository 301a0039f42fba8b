"""Whether evidence carries its label: taken away, the label should fade.

The comprehensiveness of DeYoung et al. 2020 (ERASER, arXiv:1911.03429): the probability of a label
on the whole text, less that without the evidence, beside the same for as many words in a row drawn
at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model.records import Comment, LabelScore, Prediction
from model.taxonomy import Taxonomy
from model.text import words

Array = npt.NDArray[np.float32]
Span = tuple[int, int]
CASES = 400  # at most so many labels are tried, drawn at random
_SEED = 13


class Prober(Protocol):
    """Whatever gives a probability for each label."""

    def probabilities(self, comments: Sequence[Comment]) -> Array:
        """Return the probability of each label [comments, labels], in the taxonomy's order."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """Mean fall of a label's probability without its evidence, and without random words."""

    cases: int
    without_evidence: float
    without_random: float
    more_often: float  # share of cases in which the evidence mattered more

    def summary(self) -> dict[str, Any]:
        """Return the figures, rounded."""
        return {
            "cases": self.cases,
            "fall_without_evidence": round(self.without_evidence, 4),
            "fall_without_random_words": round(self.without_random, 4),
            "evidence_matters_more": round(self.more_often, 4),
        }

    def markdown(self) -> str:
        """Return one sentence."""
        return (
            f"Without its evidence a label's probability falls by {self.without_evidence:.2f}, "
            f"without as many other words in a row by {self.without_random:.2f} (mean of "
            f"{self.cases} labels; more in {self.more_often:.0%} of them).\n"
        )


def deletion_test(
    prober: Prober,
    comments: Sequence[Comment],
    predictions: Sequence[Prediction],
    *,
    taxonomy: Taxonomy,
) -> Deletion | None:
    """Return how labels fade without their evidence; None where no comment has words to spare."""
    rng = np.random.default_rng(_SEED)
    tried = [
        (comment, label)
        for comment, prediction in zip(comments, predictions, strict=True)
        for label in prediction.labels
        if label.evidence
    ]
    chosen: list[tuple[str, str, str, int]] = []  # whole, without evidence, without random, column
    columns = {label: column for column, label in enumerate(taxonomy.labels)}
    for place in rng.permutation(len(tried)):
        comment, label = tried[place]
        pair = _shortened(comment.text, label, rng)
        if pair is not None:
            chosen.append((comment.text, *pair, columns[label.label]))
        if len(chosen) == CASES:
            break
    if not chosen:
        return None
    found = np.array([_column(prober, chosen, part) for part in range(3)])
    evidence, random = found[0] - found[1], found[0] - found[2]
    return Deletion(
        len(chosen), float(evidence.mean()), float(random.mean()), float((evidence > random).mean())
    )


def _column(prober: Prober, chosen: list[tuple[str, str, str, int]], part: int) -> Array:
    texts = [str(case[part]) for case in chosen]
    comments = [Comment(id=str(place), text=text) for place, text in enumerate(texts)]
    rows = np.arange(len(chosen))
    return prober.probabilities(comments)[rows, [case[3] for case in chosen]]


def _shortened(text: str, label: LabelScore, rng: np.random.Generator) -> tuple[str, str] | None:
    """Return the text without the evidence, and without as many words in a row elsewhere."""
    spans = [(piece.start, piece.end) for piece in label.evidence]
    found = words(text)
    inside = [any(start < end_ and start_ < end for start_, end_ in spans) for start, end in found]
    count = sum(inside)
    starts = [
        first
        for first in range(len(found) - count + 1)
        if count and not any(inside[first : first + count])
    ]
    if not starts:
        return None
    first = int(rng.choice(starts))
    other = (found[first][0], found[first + count - 1][1])
    return _without(text, spans), _without(text, [other])


def _without(text: str, spans: Sequence[Span]) -> str:
    for start, end in sorted(spans, reverse=True):
        text = text[:start] + text[end:]
    return text
