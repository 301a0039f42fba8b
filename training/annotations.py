"""Annotations without texts: what may be kept of comments that may not be passed on.

A line holds the id of a comment, a digest of its text, and what was annotated; evidence is a pair
of offsets. The texts lie in another file and are looked up by id. The digest makes sure that the
offsets count in the very text that was read by the annotator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model.errors import DataError

Numbered = tuple[int, dict[str, Any]]
_KEPT = ("id", "language", "score", "sentiment", "signals", "properties")


def text_digest(text: str) -> str:
    """Return 12 hexadecimal digits that tell one text from another."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def without_text(record: dict[str, Any]) -> dict[str, Any]:
    """Return the annotation of a labelled record: offsets instead of words, no text.

    Where evidence has no offsets of its own, the first place of its words is meant.
    """
    text = record["text"]
    labels = []
    for row in record.get("labels", []):
        kept = {key: row[key] for key in ("label", "sentiment") if key in row}
        if (words := row.get("evidence")) is not None:
            start = row.get("start")
            start = text.index(words) if start is None else start
            kept |= {"start": start, "end": start + len(words)}
        labels.append(kept)
    annotation = {key: record[key] for key in _KEPT if key in record}
    if "labels" in record:
        annotation["labels"] = labels
    return {**annotation, "digest": text_digest(text)}


def with_texts(
    annotations: Iterable[Numbered], *, texts: Iterable[Numbered], file: Path, source: Path
) -> Iterator[Numbered]:
    """Yield the labelled records that annotations and texts make together, with line numbers.

    Raises `DataError`, which names the annotation, for a text that is missing or another one.
    """
    known = {str(record.get("id")): record for _, record in texts}
    for number, annotation in annotations:
        where = f"{file}: line {number}"
        key = str(annotation.get("id"))
        if key not in known:
            raise DataError(f"{where}: no text with the id {key!r} in {source}")
        record = known[key]
        if annotation.get("digest") != text_digest(record["text"]):
            raise DataError(
                f"{where}: the text of {key!r} in {source} is not the one that was annotated "
                f"(its digest is {text_digest(record['text'])})"
            )
        yield number, _joined(annotation, record, where=where)


def _joined(annotation: dict[str, Any], record: dict[str, Any], *, where: str) -> dict[str, Any]:
    text = record["text"]
    joined: dict[str, Any] = {k: record[k] for k in ("language", "score") if k in record}
    joined |= {key: value for key, value in annotation.items() if key in _KEPT}
    joined["text"] = text
    if "labels" in annotation:
        rows = annotation["labels"]
        if not isinstance(rows, list):
            raise DataError(f"{where}: labels must be a list of objects with 'label'")
        joined["labels"] = [_worded(row, text, where=where) for row in rows]
    return joined


def _worded(row: Any, text: str, *, where: str) -> Any:
    """Return a label's row with the words at its offsets; without offsets, as it is."""
    if not isinstance(row, dict) or "start" not in row:
        return row
    start, end = row["start"], row.get("end")
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text):
        return {**row, "evidence": text[start:end]}
    raise DataError(
        f"{where}: start and end must be whole numbers within the {len(text)} characters "
        f"of the text, start below end; not {start!r} and {end!r}"
    )
