"""Parquet files on any file system, cut into parts: rows of a row group that lie together.

Paths may be of any file system that fsspec knows, such as s3://bucket/folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from model.errors import DataError
from serving.readers import BATCH, Row, plain_row
from serving.resuming import PART_ROWS


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Rows of one row group of a file: `rows` of them from `skip` on, `first` counts from 1."""

    name: str
    file: str
    group: int
    skip: int
    rows: int
    first: int


class PartReader:
    """The rows of one part, as `ParquetReader` gives those of a file."""

    unit = " rows"

    def __init__(self, part: Part, *, stack: ExitStack) -> None:
        import pyarrow.parquet as pq

        system, path = open_path(part.file)
        self.name = part.file
        self.size: int | None = part.rows
        self.position = 0
        self._part = part
        self._file = pq.ParquetFile(stack.enter_context(system.open(path, "rb")))
        self.columns: list[str] = list(self._file.schema_arrow.names)

    def rows(self) -> Iterator[Row]:
        """Yield the rows in order."""
        import pyarrow as pa

        part, before = self._part, 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH, row_groups=[part.group]):
                start = min(max(part.skip - before, 0), len(batch))
                wanted = batch.slice(start, part.rows - self.position)
                before += len(batch)
                for values in wanted.to_pylist():
                    number = part.first + self.position
                    self.position += 1
                    yield Row(number=number, place=f"row {number}", values=plain_row(values))
                if self.position == part.rows:
                    return
        except (OSError, pa.ArrowException) as problem:
            raise DataError(
                f"{self.name}: is damaged after row {part.first + self.position - 1} "
                f"({type(problem).__name__})"
            ) from None

    def types(self) -> dict[str, Any]:
        """Return the columns with their Arrow types."""
        schema = self._file.schema_arrow
        return dict(zip(schema.names, schema.types, strict=True))


def open_path(url: str) -> tuple[Any, str]:
    """Return the file system of a path or URL, and the path in it. Raises `DataError`."""
    from fsspec.core import url_to_fs

    try:
        system, path = url_to_fs(url)
    except (ImportError, ValueError) as problem:
        raise DataError(f"{url}: {problem}") from None
    return system, path


def find_files(source: str) -> list[str]:
    """Return the Parquet files of a file or folder, by name, as full URLs."""
    system, path = open_path(source)
    if system.isfile(path):
        found = [path]
    else:
        entries = system.find(path) if system.isdir(path) else []
        inside = [entry[len(path) :].strip("/") for entry in entries]
        found = sorted(
            entry
            for entry, name in zip(entries, inside, strict=True)
            if name.endswith(".parquet")
            and not any(part.startswith((".", "_")) for part in name.split("/"))
        )
    if not found:
        raise DataError(f"{source}: is no Parquet file, and no folder that holds one")
    return [str(system.unstrip_protocol(entry)) for entry in found]


def _metadata(file: str) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    system, path = open_path(file)
    try:
        with system.open(path, "rb") as stream:
            return pq.read_metadata(stream)
    except (OSError, pa.ArrowException):
        raise DataError(f"{file}: cannot be read as a Parquet file") from None


def schema_of(file: str) -> Any:
    """Return the Arrow schema of a file. Raises `DataError` where it is none."""
    return _metadata(file).schema.to_arrow_schema()


def cut_parts(files: Sequence[str], *, source: str) -> Iterator[Part]:
    """Yield the parts of all files in order. Raises `DataError` where columns differ."""
    number, columns = 0, None
    for file in files:
        metadata = _metadata(file)
        schema = metadata.schema.to_arrow_schema()
        columns = columns or schema
        if not schema.equals(columns):
            raise DataError(f"{source}: {file} has other columns than {files[0]}")
        first = 1
        for group in range(metadata.num_row_groups):
            rows = metadata.row_group(group).num_rows
            for skip in range(0, rows, PART_ROWS):
                size = min(PART_ROWS, rows - skip)
                yield Part(
                    name=f"part-{number:06d}.parquet",
                    file=file,
                    group=group,
                    skip=skip,
                    rows=size,
                    first=first,
                )
                number += 1
                first += size
