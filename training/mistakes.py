"""Where a model goes wrong: slices of the data, labels taken for others, the worst to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.records import Prediction
from model.taxonomy import Taxonomy
from training.corpus import Example

Array = npt.NDArray[np.float32]
WORST = 50
CONFUSIONS = 20
SLICE_COMMENTS = 10  # a smaller slice says nothing
_LENGTHS = {5: "up to 5 words", 20: "6 to 20 words", 60: "21 to 60 words"}
_LONGER = "more than 60 words"
# What a record may call the trade that its comment is from.
_SECTORS = ("sector", "domain", "industry")
_FLOOR = 1e-6


@dataclass(frozen=True, slots=True)
class Confusion:
    """In `count` comments `true` was missed and `said` was found that is not there."""

    true: str
    said: str
    count: int


@dataclass(frozen=True, slots=True)
class Mistake:
    """A comment with what is wrong about it; `surprise` is the log loss of its decisions."""

    example: Example
    missed: tuple[str, ...]
    false: tuple[str, ...]
    surprise: float

    def markdown(self) -> str:
        """Return one paragraph, the text included."""
        said = [f"missed {label}" for label in self.missed]
        said += [f"wrong {label}" for label in self.false]
        text = " ".join(self.example.text.split())
        return f"- `{self.example.id}` ({self.surprise:.1f}): {', '.join(said)}\n  > {text}\n"


def slices(examples: Sequence[Example]) -> dict[str, dict[str, list[int]]]:
    """Return kind -> name -> places of the examples, for slices of at least ten."""
    lengths: dict[str, list[int]] = {name: [] for name in [*_LENGTHS.values(), _LONGER]}
    sectors: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        count = len(example.text.split())
        name = next((name for most, name in _LENGTHS.items() if count <= most), _LONGER)
        lengths[name].append(place)
        found = [value for key in _SECTORS if (value := example.properties.get(key))]
        if found:
            sectors.setdefault(str(found[0]), []).append(place)
    return {
        kind: {name: places for name, places in found.items() if len(places) >= SLICE_COMMENTS}
        for kind, found in (("sector", dict(sorted(sectors.items()))), ("length", lengths))
    }


def confusions(examples: Sequence[Example], predictions: Sequence[Prediction]) -> list[Confusion]:
    """Return which labels are taken for which, the commonest first."""
    pairs: Counter[tuple[str, str]] = Counter()
    for example, prediction in zip(examples, predictions, strict=True):
        missed, false = _wrong(example, prediction)
        pairs.update((true, said) for true in missed for said in false)
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
    return [Confusion(true, said, count) for (true, said), count in ordered[:CONFUSIONS]]


def worst(
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    probabilities: Array,
    *,
    taxonomy: Taxonomy,
) -> list[Mistake]:
    """Return the fifty comments whose wrong labels surprise most; `probabilities` [comments, L].

    Surprise is the summed log loss of the labels that were missed or wrongly said.
    """
    columns = {label: column for column, label in enumerate(taxonomy.labels)}
    found = []
    for example, prediction, row in zip(examples, predictions, probabilities, strict=True):
        missed, false = _wrong(example, prediction)
        if not missed and not false:
            continue
        losses = [-np.log(max(_FLOOR, float(row[columns[label]]))) for label in missed]
        losses += [-np.log(max(_FLOOR, 1 - float(row[columns[label]]))) for label in false]
        found.append(Mistake(example, missed, false, float(sum(losses))))
    return sorted(found, key=lambda mistake: -mistake.surprise)[:WORST]


def _wrong(example: Example, prediction: Prediction) -> tuple[tuple[str, ...], tuple[str, ...]]:
    said = {label.label for label in prediction.labels}
    return tuple(_missed(example, said)), tuple(sorted(said & example.absent))


def _missed(example: Example, said: set[str]) -> Iterator[str]:
    return (label for label in sorted(example.labels) if label not in said)
