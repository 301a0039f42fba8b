"""Read labelled comments: full annotations, and coarse ones through a mapping file.

What a data set does not annotate is masked, never taken for absent. In the record form of
docs/data-format.md a missing `sentiment`, `labels` or `signals` means exactly that; a label without
`evidence` or `sentiment` leaves these two open.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from model.errors import DataError, suggest
from model.records import SENTIMENTS
from model.taxonomy import Taxonomy, read_toml
from training.annotations import with_texts

log = logging.getLogger(__name__)
Span = tuple[int, int]
_MAPPING_KEYS = ("labels", "absent", "complete")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNote:
    """What is known of a label that is present: `evidence` is a span of the text in code points."""

    sentiment: str | None = None
    evidence: Span | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyOf:
    """At least one of `labels` is present (with `sentiment`, if known), nobody says which."""

    labels: tuple[str, ...]
    sentiment: str | None = None
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A labelled comment. `absent`: labels known to be absent. `signals`: None where not annotated.

    `judged` is for coarse annotations: sets of labels, and whether at least one of the set is
    present by the word of the annotators. It serves for judging, `absent` (surer, fewer) for
    training.
    """

    id: str
    text: str
    language: str
    score: int | None = None
    sentiment: str | None = None
    labels: Mapping[str, LabelNote] = field(default_factory=dict)
    any_of: tuple[AnyOf, ...] = ()
    absent: frozenset[str] = frozenset()
    judged: Mapping[tuple[str, ...], bool] = field(default_factory=dict)
    signals: frozenset[str] | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0

    @property
    def is_full(self) -> bool:
        """Tell whether every label is known to be there or not."""
        return not self.judged and bool(self.labels or self.absent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a foreign label leads: to labels of ours, of which at least one is then present."""

    labels: tuple[str, ...]
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMap:
    """A mapping file: foreign labels to ours, and what their absence tells.

    `complete`: the foreign labels are ours one by one, so what none of them leads to is absent.
    """

    targets: Mapping[str, Target]
    absent: tuple[str, ...]
    complete: bool = False


def load_mapping(path: Path, *, taxonomy: Taxonomy) -> LabelMap:
    """Read and check a mapping file. Raises `DataError` that names file and key."""
    raw = read_toml(path, error=DataError)
    for key in raw:
        if key not in _MAPPING_KEYS:
            raise DataError(f"{path}: unknown key {key!r}; {suggest(key, _MAPPING_KEYS)}")
    targets = {}
    for foreign, row in raw.get("labels", {}).items():
        where = f'{path}: [labels."{foreign}"]'
        for key in row:
            if key not in {"any_of", "weight"}:
                raise DataError(
                    f"{where}: unknown key {key!r}; {suggest(key, ['any_of', 'weight'])}"
                )
        labels = _expand(row.get("any_of", []), taxonomy, where=where)
        weight = row.get("weight", 1.0)
        if not labels or not isinstance(weight, int | float) or not 0 < weight <= 1:
            raise DataError(
                f"{where}: needs any_of = [labels or areas] and a weight over 0, up to 1"
            )
        targets[foreign] = Target(labels=labels, weight=float(weight))
    if not targets:
        raise DataError(f"{path}: [labels] maps no label")
    absent = _expand(raw.get("absent", []), taxonomy, where=f"{path}: absent")
    complete = raw.get("complete", False)
    if not isinstance(complete, bool) or (complete and absent):
        raise DataError(f"{path}: complete must be true or false, and needs no absent")
    if complete and any(len(target.labels) > 1 for target in targets.values()):
        raise DataError(f"{path}: complete needs any_of with one label each")
    return LabelMap(targets=targets, absent=absent, complete=complete)


def _expand(names: Iterable[str], taxonomy: Taxonomy, *, where: str) -> tuple[str, ...]:
    """Return the labels that `names` (labels or areas) stand for, each once."""
    labels: dict[str, None] = {}
    for name in names:
        if name in taxonomy.areas:
            labels.update(dict.fromkeys(taxonomy.topics(name)))
        elif name in taxonomy.labels:
            labels[name] = None
        else:
            known = [*taxonomy.areas, *taxonomy.labels]
            raise DataError(f"{where}: unknown label or area {name!r}; {suggest(str(name), known)}")
    return tuple(labels)


def read_records(path: Path, *, key: str = "text") -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and record of a JSONL file; each has a string in `key`.

    Raises `DataError` that names file and line.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
        except UnicodeDecodeError:
            raise DataError(f"{path}: line {number} is not UTF-8; save the file as UTF-8") from None
        except (ValueError, RecursionError) as problem:  # also over-long integers, deep nesting
            fault = getattr(problem, "msg", "too long or too deep")
            raise DataError(f"{path}: line {number} is not valid JSON: {fault}") from None
        if not isinstance(record, dict) or not isinstance(record.get(key), str):
            raise DataError(f"{path}: line {number} must be an object with a string in {key!r}")
        yield number, record


def read_examples(
    path: Path,
    *,
    taxonomy: Taxonomy,
    mapping: LabelMap | None = None,
    texts: Path | None = None,
    weight: float = 1.0,
) -> list[Example]:
    """Return the labelled comments of a JSONL file, through a mapping where one is given.

    With `texts` the file holds annotations without texts, which are looked up there by id.
    Raises `DataError` (file, line, key) for anything that does not fit the taxonomy or the text.
    """
    examples = []
    if texts is None:
        records = read_records(path)
    else:
        annotations = read_records(path, key="id")
        records = with_texts(annotations, texts=read_records(texts), file=path, source=texts)
    for number, record in records:
        where = f"{path}: line {number}"
        if mapping is None:
            example = _full(record, taxonomy, where=where)
        else:
            example = _coarse(record, mapping, where=where)
        examples.append(replace(example, id=str(record.get("id", number)), weight=weight))
    if not examples:
        raise DataError(f"{path}: holds no labelled comment")
    return examples


def _full(record: dict[str, Any], taxonomy: Taxonomy, *, where: str) -> Example:
    example = _base(record, where=where)
    notes: dict[str, LabelNote] = {}
    for row in _rows(record, where=where):
        label = str(row.get("label"))
        if label not in taxonomy.labels:
            raise DataError(f"{where}: unknown label {label!r}; {suggest(label, taxonomy.labels)}")
        if label in notes:
            raise DataError(f"{where}: label {label!r} stands twice")
        span = _span(row, record["text"], where=f"{where}: {label}")
        notes[label] = LabelNote(sentiment=_sentiment(row, where=where), evidence=span)
    signals = _signals(record, taxonomy, where=where)
    known = frozenset(taxonomy.labels) if "labels" in record else frozenset[str]()
    return replace(
        example,
        labels=notes,
        absent=known - set(notes),
        signals=signals,
    )


def _coarse(record: dict[str, Any], mapping: LabelMap, *, where: str) -> Example:
    example = _base(record, where=where)
    notes: dict[str, LabelNote] = {}
    any_of: list[AnyOf] = []
    touched: set[str] = set()
    present: list[set[str]] = []
    for row in _rows(record, where=where):
        foreign = str(row.get("label"))
        if foreign not in mapping.targets:
            raise DataError(
                f"{where}: unmapped label {foreign!r}; {suggest(foreign, mapping.targets)}"
            )
        target, sentiment = mapping.targets[foreign], _sentiment(row, where=where)
        touched.update(target.labels)
        present.append(set(target.labels))
        if len(target.labels) > 1:
            any_of.append(AnyOf(labels=target.labels, sentiment=sentiment, weight=target.weight))
            continue
        (label,) = target.labels
        if label in notes and notes[label].sentiment != sentiment:
            sentiment = "neutral"  # good and bad said of one topic
        notes[label] = LabelNote(sentiment=sentiment, weight=target.weight)
    if mapping.complete:
        every = {label for target in mapping.targets.values() for label in target.labels}
        return replace(example, labels=notes, absent=frozenset(every - touched))
    absent = frozenset(mapping.absent) - touched
    # A set is present where an annotation names it, or a smaller one within it.
    judged = {
        target.labels: any(found <= set(target.labels) for found in present)
        for target in mapping.targets.values()
    }
    return replace(example, labels=notes, any_of=tuple(any_of), absent=absent, judged=judged)


def _base(record: dict[str, Any], *, where: str) -> Example:
    score = record.get("score")
    if score is not None and (type(score) is not int or not 0 <= score <= 10):
        raise DataError(f"{where}: score must be a whole number from 0 to 10, not {score!r}")
    properties = record.get("properties") or {}
    if not isinstance(properties, dict):
        raise DataError(f"{where}: properties must be an object, not {type(properties).__name__}")
    return Example(
        id="",
        text=record["text"],
        language=str(record.get("language") or "und"),
        score=score,
        sentiment=_sentiment(record, where=where),
        properties=properties,
    )


def _rows(record: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
    rows = record.get("labels", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{where}: labels must be a list of objects with 'label'")
    return rows


def _signals(record: dict[str, Any], taxonomy: Taxonomy, *, where: str) -> frozenset[str] | None:
    signals = record.get("signals")
    if signals is None:
        return None
    if not isinstance(signals, list):
        raise DataError(f"{where}: signals must be a list of signal ids; [] where there is none")
    for signal in signals:
        if not isinstance(signal, str) or signal not in taxonomy.signals:
            raise DataError(
                f"{where}: unknown signal {signal!r}; {suggest(str(signal), taxonomy.signals)}"
            )
    return frozenset(signals)


def _sentiment(row: Mapping[str, Any], *, where: str) -> str | None:
    sentiment = row.get("sentiment")
    if sentiment is not None and sentiment not in SENTIMENTS:
        raise DataError(f"{where}: sentiment {sentiment!r}; {suggest(str(sentiment), SENTIMENTS)}")
    return sentiment


def _span(row: Mapping[str, Any], text: str, *, where: str) -> Span | None:
    """Return the evidence as offsets; where the words stand twice, the first is meant."""
    evidence = row.get("evidence")
    if evidence is None:
        return None
    if not isinstance(evidence, str) or not evidence:
        raise DataError(f"{where}: evidence must be words of the text; leave it out if unknown")
    start, end = row.get("start"), row.get("end")
    if start is None and end is None:
        start = text.find(evidence)
        end = start + len(evidence)
    if type(start) is not int or type(end) is not int:
        raise DataError(f"{where}: start and end must both be whole numbers, or both be left out")
    if start < 0 or text[start:end] != evidence:
        raise DataError(f"{where}: evidence is not found in the text; copy it letter for letter")
    return start, end


def text_key(text: str) -> str:
    """Return what two copies of one comment have in common: its letters and digits, case folded."""
    return re.sub(r"[\W_]+", "", text.casefold())


def without_repeats(
    examples: Iterable[Example], *, held_out: Iterable[Example] = ()
) -> list[Example]:
    """Drop texts that are held out, and of equal texts all but one: a full annotation wins."""
    banned = {text_key(example.text) or example.text for example in held_out}
    chosen: dict[str, Example] = {}
    dropped = 0
    for example in examples:
        key = text_key(example.text) or example.text
        rival = chosen.get(key)
        if key in banned or (rival is not None and (rival.is_full or not example.is_full)):
            dropped += 1
            continue
        dropped += rival is not None
        chosen[key] = example
    log.info("%d texts kept, %d dropped as held out or repeated", len(chosen), dropped)
    return list(chosen.values())
