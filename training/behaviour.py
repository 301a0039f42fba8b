"""Behaviour tests in the manner of CheckList: what must not change an answer, and what must.

After Ribeiro et al. 2020 (arXiv:2005.04118). A pair of texts is written by hand (another company's
name, a negation, irony, …); spelling, case and punctuation are changed by code. A kind of test has
a failure rate, and the pairs that fail can be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from model.errors import DataError, suggest
from model.records import Comment, Prediction
from model.taxonomy import Taxonomy
from training.corpus import read_records

SAME, DIFFER = "same", "differ"
_KEYS = ("id", "language", "kind", "expect", "first", "second", "about")
_UMLAUTS = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"}
)
_LETTERS = re.compile(r"[^\W\d_]{6,}")  # words that are long enough to stay legible with a slip


class Scorer(Protocol):
    """Whatever classifies comments."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two texts. `same`: all labels with their sentiments must be alike; `differ`: `about` not."""

    id: str
    language: str
    kind: str
    expect: Literal["same", "differ"]
    first: str
    second: str
    about: str


@dataclass(slots=True)
class Outcome:
    """How many pairs of a kind were tried, and the ids of those that failed."""

    tried: int = 0
    failed: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Return the failure rate."""
        return len(self.failed) / max(1, self.tried)


def read_pairs(path: Path, *, taxonomy: Taxonomy) -> list[Pair]:
    """Read pairs from a JSONL file. Raises `DataError` that names file, line and key."""
    pairs: list[Pair] = []
    for number, record in read_records(path, key="first"):
        where = f"{path}: line {number}"
        for key in record:
            if key not in _KEYS:
                raise DataError(f"{where}: unknown key {key!r}; {suggest(key, _KEYS)}")
        for key in _KEYS:
            if not isinstance(record.get(key), str) or not record[key]:
                raise DataError(f"{where}: {key} is missing or no text")
        if record["expect"] not in (SAME, DIFFER):
            raise DataError(f"{where}: expect must be {SAME!r} or {DIFFER!r}")
        if record["about"] not in taxonomy.labels:
            known = suggest(record["about"], taxonomy.labels)
            raise DataError(f"{where}: unknown label {record['about']!r}; {known}")
        if record["first"] == record["second"]:
            raise DataError(f"{where}: both texts are the same")
        if any(pair.id == record["id"] for pair in pairs):
            raise DataError(f"{where}: the id {record['id']!r} stands twice")
        pairs.append(Pair(**record))
    return pairs


def made_pairs(pairs: Iterable[Pair]) -> list[Pair]:
    """Return what code makes of the first texts: slips, case, umlauts, punctuation."""
    made = []
    for pair in pairs:
        changed = {
            "typo": _slip(pair.first),
            "lower-case": pair.first.lower(),
            "upper-case": pair.first.upper().replace("ẞ", "SS"),
            "no-umlauts": pair.first.translate(_UMLAUTS),
            "no-punctuation": re.sub(r"[.,;:!?]+(?=\s|$)", "", pair.first),
        }
        made += [
            Pair(
                id=f"{kind}:{pair.id}",
                language=pair.language,
                kind=kind,
                expect="same",
                first=pair.first,
                second=text,
                about=pair.about,
            )
            for kind, text in changed.items()
            if text != pair.first
        ]
    return made


def _slip(text: str) -> str:
    """Return the text with two neighbouring letters of its longest word swapped."""
    found = max(_LETTERS.finditer(text), key=lambda match: len(match[0]), default=None)
    if found is None:
        return text
    middle = found.start() + len(found[0]) // 2
    return text[: middle - 1] + text[middle] + text[middle - 1] + text[middle + 1 :]


def try_pairs(scorer: Scorer, pairs: Sequence[Pair]) -> dict[str, dict[str, Outcome]]:
    """Return language -> kind -> outcome."""
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    said = iter(scorer.classify([Comment(id=str(n), text=t) for n, t in enumerate(texts)]))
    found: dict[str, dict[str, Outcome]] = {}
    for pair in pairs:
        outcome = found.setdefault(pair.language, {}).setdefault(pair.kind, Outcome())
        outcome.tried += 1
        if not _holds(pair, next(said), next(said)):
            outcome.failed.append(pair.id)
    return found


def _holds(pair: Pair, first: Prediction, second: Prediction) -> bool:
    before = {label.label: label.sentiment for label in first.labels}
    after = {label.label: label.sentiment for label in second.labels}
    if pair.expect == SAME:
        return before == after
    # A label that was not there to begin with cannot turn: that is a failure too.
    return pair.about in before and after.get(pair.about) != before[pair.about]
