"""Files of comments, read row by row: JSONL, CSV and Parquet, in bounded memory.

A row that cannot be read is handed on with its problem; a file that cannot be read is a
`DataError`.
"""

from __future__ import annotations

import csv
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from model.errors import DataError, suggest
from serving.strict_json import read_json

STANDARD_STREAM = "-"
KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
# Bytes; a longer line is no record but another kind of file.
MAX_LINE = 16 * 1024 * 1024
# Rows of a Parquet file that are unpacked at once.
BATCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record: its number from 1, where it stands in the file, its columns, or what is wrong."""

    number: int
    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


class Reader(Protocol):
    """A file of rows. `position` runs up to `size` (None for a stream), both in `unit`."""

    name: str
    size: int | None
    unit: str

    @property
    def position(self) -> int:
        """Return how much was read."""

    @property
    def columns(self) -> list[str] | None:
        """Return the columns of all rows where the file names them at its head."""

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order, once."""

    def types(self) -> dict[str, Any]:
        """Return every column of the file with its type: Python's, or Arrow's of a Parquet file."""


def kind_of(path: str) -> str:
    """Return `jsonl`, `csv` or `parquet`; standard streams carry JSONL."""
    if path == STANDARD_STREAM:
        return "jsonl"
    suffix = Path(path).suffix.lower()
    if suffix not in KINDS:
        raise DataError(f"{path}: unknown kind of file {suffix!r}; {suggest(suffix, KINDS)}")
    return KINDS[suffix]


def open_reader(path: str, *, stack: ExitStack) -> Reader:
    """Open a file for reading; `stack` closes it."""
    kind = kind_of(path)
    if kind == "parquet":
        return ParquetReader(path, stack=stack)
    name = "standard input" if path == STANDARD_STREAM else path
    try:
        stream = sys.stdin.buffer if path == STANDARD_STREAM else _open(path, stack=stack)
    except OSError as problem:
        raise DataError(f"{path}: cannot be read ({problem.strerror})") from None
    size = None if path == STANDARD_STREAM else os.fstat(stream.fileno()).st_size
    if kind == "csv":
        return CsvReader(stream, name=name, size=size)
    return JsonlReader(stream, name=name, size=size, stack=stack)


def _open(path: str, *, stack: ExitStack) -> BinaryIO:
    return stack.enter_context(Path(path).open("rb"))


class _Lines:
    """The lines of a stream as text, each with its line end; counts bytes."""

    def __init__(self, stream: BinaryIO, *, name: str) -> None:
        self._stream = stream
        self._name = name
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        number = 0
        while raw := self._stream.readline(MAX_LINE + 1):
            number += 1
            if len(raw) > MAX_LINE:
                raise DataError(f"{self._name}: line {number} is longer than {MAX_LINE} bytes")
            self.position += len(raw)
            try:
                # Spreadsheets put a byte order mark before the first line.
                yield raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as problem:
                raise DataError(
                    f"{self._name}: is not UTF-8 (line {number}, byte {problem.start + 1} of it);"
                    " save it as UTF-8"
                ) from None


class JsonlReader:
    """One JSON object a line; blank lines are no records."""

    columns = None
    unit = "B"

    def __init__(self, stream: BinaryIO, *, name: str, size: int | None, stack: ExitStack) -> None:
        self.name = name
        self.size = size
        self._stream = stream
        self._stack = stack
        self._lines = _Lines(stream, name=name)

    @property
    def position(self) -> int:
        """Return the bytes that were read."""
        return self._lines.position

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        number = 0
        for line_number, line in enumerate(self._lines, start=1):
            if line.strip():
                number += 1
                yield self._row(line, number=number, place=f"line {line_number}")

    @staticmethod
    def _row(line: str, *, number: int, place: str) -> Row:
        try:
            values = read_json(line.strip())
        except ValueError as problem:
            return Row(number=number, place=place, problem=f"the row {problem}")
        if not isinstance(values, dict):
            return Row(number=number, place=place, problem="the row is not a JSON object")
        return Row(number=number, place=place, values=values)

    def types(self) -> dict[str, Any]:
        """Read the file once more than is needed for its rows: only its end tells every column.

        A stream is kept in a temporary file meanwhile. The type is `str` where values differ.
        """
        if not self._stream.seekable():
            self._stream = _copy(self._stream, stack=self._stack)
        start = self._stream.tell()
        self._lines = _Lines(self._stream, name=self.name)
        seen: dict[str, set[type]] = {}
        for row in self.rows():
            for column, value in row.values.items():
                seen.setdefault(column, set()).update([] if value is None else [_type(value)])
        self._stream.seek(start)
        self._lines = _Lines(self._stream, name=self.name)
        return {column: _common(types) for column, types in seen.items()}


def _copy(stream: BinaryIO, *, stack: ExitStack) -> BinaryIO:
    kept = stack.enter_context(_temporary_file())
    shutil.copyfileobj(stream, kept)
    kept.seek(0)
    return kept


def _temporary_file() -> BinaryIO:
    return tempfile.TemporaryFile()


def _type(value: object) -> type:
    # An integer that no column of 64 bits can hold is kept as its digits.
    fits = not isinstance(value, int) or -(2**63) <= value < 2**63
    return type(value) if fits and isinstance(value, (bool, int, float)) else str


def _common(types: set[type]) -> type:
    if types == {int, float}:
        return float
    return types.pop() if len(types) == 1 else str


class CsvReader:
    """Comma, semicolon or tab between the cells, column names in the first line."""

    unit = "B"

    def __init__(self, stream: BinaryIO, *, name: str, size: int | None) -> None:
        self.name = name
        self.size = size
        self._lines = _Lines(stream, name=name)
        # The library's own limit is a global 128 KiB, less than a comment may have.
        csv.field_size_limit(MAX_LINE)
        lines = iter(self._lines)
        head = next(lines, "")
        self.delimiter = max(",;\t", key=head.count)
        self._cells = csv.reader(_chain(head, lines), delimiter=self.delimiter)
        self.columns = self._head()
        if not self.columns:
            raise DataError(f"{name}: is empty; a CSV file begins with the names of its columns")
        for column in self.columns:
            if self.columns.count(column) > 1:
                raise DataError(f"{name}: the column {column!r} is there twice")

    @property
    def position(self) -> int:
        """Return the bytes that were read."""
        return self._lines.position

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        number = 0
        while True:
            place = f"line {self._cells.line_num + 1}"
            try:
                cells = next(self._cells, None)
            except csv.Error as problem:
                number += 1
                yield Row(number=number, place=place, problem=f"the row is not CSV ({problem})")
                continue
            if cells is None:
                return
            if cells:
                number += 1
                yield self._row(cells, number=number, place=place)

    def _head(self) -> list[str]:
        try:
            return next(self._cells, [])
        except csv.Error as problem:
            raise DataError(f"{self.name}: line 1 is not CSV ({problem})") from None

    def _row(self, cells: list[str], *, number: int, place: str) -> Row:
        values = {c: _cell(c, text) for c, text in zip(self.columns, cells, strict=False)}
        problem = None
        if len(cells) != len(self.columns):
            problem = f"the row has {len(cells)} cells, the first line names {len(self.columns)}"
        return Row(number=number, place=place, values=values, problem=problem)

    def types(self) -> dict[str, Any]:
        """Return the columns; a CSV file knows nothing but text."""
        return dict.fromkeys(self.columns, str)


def _chain(head: str, lines: Iterator[str]) -> Iterator[str]:
    yield head
    yield from lines


def _cell(column: str, text: str) -> Any:
    # A cell knows no type: a number or an object is read where the form of a comment asks for one.
    if column not in {"score", "properties"}:
        return text
    if not text.strip():
        return None
    try:
        return read_json(text)
    except ValueError:
        return text


class ParquetReader:
    """A Parquet file, read in batches."""

    unit = " rows"

    def __init__(self, path: str, *, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.name = path
        self.position = 0
        try:
            self._file = stack.enter_context(pq.ParquetFile(path))
        except (OSError, pa.ArrowException) as problem:
            reason = getattr(problem, "strerror", None) or "it is no Parquet file"
            raise DataError(f"{path}: cannot be read ({reason})") from None
        self.size: int | None = self._file.metadata.num_rows
        self.columns: list[str] = list(self._file.schema_arrow.names)
        for column in self.columns:
            if self.columns.count(column) > 1:
                raise DataError(f"{path}: the column {column!r} is there twice")

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        import pyarrow as pa

        try:
            for batch in self._file.iter_batches(batch_size=BATCH):
                for values in batch.to_pylist():
                    self.position += 1
                    place = f"row {self.position}"
                    yield Row(number=self.position, place=place, values=plain_row(values))
        except (OSError, pa.ArrowException) as problem:
            raise DataError(
                f"{self.name}: is damaged after row {self.position} ({type(problem).__name__})"
            ) from None

    def types(self) -> dict[str, Any]:
        """Return the columns with their Arrow types."""
        schema = self._file.schema_arrow
        return dict(zip(schema.names, schema.types, strict=True))


def plain_row(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row as it is meant: data frames write a missing number as NaN."""
    return {
        column: None if isinstance(value, float) and math.isnan(value) else value
        for column, value in values.items()
    }
