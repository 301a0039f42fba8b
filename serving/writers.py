"""Answers into files: JSONL, CSV and Parquet; a file is whole or it is not there."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, time
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from model.errors import DataError
from serving.readers import STANDARD_STREAM, CsvReader, Reader, kind_of
from serving.strict_json import write_json

# The fields of an answer in a file, in order; columns of the input with such a name give way.
RESULT_FIELDS = (
    "id",
    "language",
    "score_type",
    "sentiment",
    "confidence",
    "labels",
    "signals",
    "route",
    "needs_review",
    "review_reasons",
    "truncated",
    "error",
    "model",
    "taxonomy",
)
_NAMES = {"en": "string", "de": "string"}
_EVIDENCE = [{"start": "int64", "end": "int64", "text": "string"}]
# The same fields for Parquet: a list is [item], an object is {name: type}.
_FORM: dict[str, Any] = {
    "id": "string",
    "language": "string",
    "score_type": "string",
    "sentiment": "string",
    "confidence": "float64",
    "labels": [
        {
            "label": "string",
            "name": _NAMES,
            "area": "string",
            "sentiment": "string",
            "confidence": "float64",
            "sentiment_confidence": "float64",
            "evidence": _EVIDENCE,
            "untrained": "bool",
        }
    ],
    "signals": [
        {"signal": "string", "name": _NAMES, "confidence": "float64", "evidence": _EVIDENCE}
    ],
    "route": {
        "team": "string",
        "priority": "string",
        "due_hours": "int64",
        "actions": ["string"],
        "rule": "string",
        "also": ["string"],
    },
    "needs_review": "bool",
    "review_reasons": ["string"],
    "truncated": "bool",
    "error": {"code": "string", "message": "string"},
    "model": "string",
    "taxonomy": "string",
}


class Writer(Protocol):
    """Takes records in order."""

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write the records after those before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How answers are written: kind of file, columns of the input with their types, delimiter."""

    kind: str
    kept: Mapping[str, Any]
    delimiter: str = ","


def form_of(path: str, *, reader: Reader) -> Form:
    """Return the form of the answers to `reader` in the file `path`, by its extension."""
    kind = kind_of(path)
    if kind == "jsonl":
        return Form(kind=kind, kept={})
    kept = {name: kind for name, kind in reader.types().items() if name not in RESULT_FIELDS}
    delimiter = reader.delimiter if isinstance(reader, CsvReader) else ","
    return Form(kind=kind, kept=kept, delimiter=delimiter)


def open_writer(path: str, form: Form, *, stack: ExitStack, head: bool = True) -> Writer:
    """Open a file for answers; it appears when `stack` closes without an error.

    Without `head` a CSV file has no line with the names of its columns: it follows another.
    """
    stream = sys.stdout.buffer if path == STANDARD_STREAM else stack.enter_context(atomic(path))
    if form.kind == "jsonl":
        return JsonlWriter(stream)
    if form.kind == "csv":
        columns = ["id", *form.kept, *RESULT_FIELDS[1:]]
        return CsvWriter(stream, columns=columns, delimiter=form.delimiter, head=head)
    writer = ParquetWriter(stream, kept=form.kept)
    stack.callback(writer.close)
    return writer


def join_parts(parts: Sequence[Path], stream: BinaryIO, *, kind: str) -> None:
    """Write files of one form after one another; memory holds little of them at a time."""
    if kind != "parquet":
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, stream)
        return
    import pyarrow.parquet as pq

    with pq.ParquetFile(parts[0]) as first:
        schema = first.schema_arrow
    with pq.ParquetWriter(stream, schema) as writer:
        for part in parts:
            with pq.ParquetFile(part) as source:
                for group in range(source.num_row_groups):
                    writer.write_table(source.read_row_group(group))


@contextmanager
def atomic(path: str) -> Iterator[BinaryIO]:
    """Open a new file beside `path`; it gets that name in the end, or is removed after an error."""
    # A link is followed: its target is replaced, not the link.
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise DataError(f"{path}: is no file; name a file, or - for standard output")
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        stream = part.open("xb")
    except OSError as problem:
        raise DataError(f"{path}: cannot be written ({problem.strerror})") from None
    try:
        with stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


class JsonlWriter:
    """One JSON object a line."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write one line a record."""
        self._stream.writelines(write_json(plain(record)) + b"\n" for record in records)
        self._stream.flush()


class CsvWriter:
    """One line of cells a record; lists and objects are JSON in their cell."""

    def __init__(
        self, stream: BinaryIO, *, columns: Sequence[str], delimiter: str, head: bool = True
    ) -> None:
        # UTF-8 cannot hold half a surrogate pair: the cell shows its escape. Lines end as RFC 4180
        # says; with a bare \n the library would leave a \r inside a cell without quotes.
        text = io.TextIOWrapper(stream, "utf-8", errors="backslashreplace", newline="")
        self._text = text
        self._columns = columns
        self._cells = csv.writer(text, delimiter=delimiter, lineterminator="\r\n")
        if head:
            self._cells.writerow(columns)
        text.flush()

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write one line a record."""
        for record in records:
            self._cells.writerow([_cell(record.get(column)) for column in self._columns])
        self._text.flush()


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    value = plain(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class ParquetWriter:
    """Nested columns as they are; columns of the input keep their type where it is known."""

    def __init__(self, stream: BinaryIO, *, kept: Mapping[str, Any]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        python = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
        kept_types = {name: python.get(kind, kind) for name, kind in kept.items()}
        results = {name: _arrow(form) for name, form in _FORM.items()}
        # Text where values differ: anything else in such a column is written as JSON.
        self._texts = {name for name, kind in kept_types.items() if kind == pa.string()}
        self._schema = pa.schema({"id": results.pop("id"), **kept_types, **results})
        self._writer = pq.ParquetWriter(stream, self._schema)

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write one row a record."""
        import pyarrow as pa

        rows = [
            {**record, **{c: _text(record[c]) for c in self._texts & record.keys()}}
            for record in records
        ]
        try:
            table = pa.Table.from_pylist(rows, schema=self._schema)
        except UnicodeEncodeError:
            # UTF-8 cannot hold half a surrogate pair: the column shows its escape.
            table = pa.Table.from_pylist([_escaped(row) for row in rows], schema=self._schema)
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


def _arrow(form: Any) -> Any:
    import pyarrow as pa

    if isinstance(form, list):
        return pa.list_(_arrow(form[0]))
    if isinstance(form, dict):
        return pa.struct({name: _arrow(part) for name, part in form.items()})
    return pa.type_for_alias(form)


def _text(value: Any) -> str | None:
    return None if value is None else _cell(value)


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, dict):
        return {key: _escaped(item) for key, item in value.items()}
    return value


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it: dates in ISO form, NaN as null, the rest as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value.isoformat() if isinstance(value, (date, time)) else str(value)
