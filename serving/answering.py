"""From the rows of a file to the records of another: in chunks, in several threads, in order."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any

from tqdm import tqdm

from model.errors import DataError
from model.records import Failure, Result
from serving.answers import result_json
from serving.readers import Reader, Row
from serving.service import Service
from serving.settings import Settings
from serving.writers import RESULT_FIELDS, Writer

# Rows that are answered together; a few such chunks are in memory at a time.
CHUNK = 512


@dataclass(slots=True)
class Count:
    """How many records were written, and how many of them hold an error."""

    records: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Rows that follow one another, as raw comments too; `position` is the reader's after them."""

    rows: Sequence[Row]
    comments: Sequence[object]
    position: int


def rows_of(reader: Reader, *, text_column: str | None) -> Iterator[Row]:
    """Return the rows, once it is sure that the text has a column.

    The text is in `text_column` if one is named, else in `comment`, else in `text`. Raises
    `DataError` where neither the head of the file nor its first chunk has it.
    """
    rows = reader.rows()
    first = list(islice(rows, CHUNK))
    columns = reader.columns
    if columns is None:
        columns = list(dict.fromkeys(c for row in first for c in row.values))
    wanted = (text_column,) if text_column else ("comment", "text")
    # Where no row could be read, each says for itself what is wrong with it.
    if columns and not set(wanted) & set(columns):
        raise DataError(
            f"{reader.name}: no column {' or '.join(map(repr, wanted))};"
            f" it has {', '.join(map(repr, columns))}: name one with --text-column"
        )
    return chain(first, rows)


def chunks_of(
    rows: Iterator[Row], *, reader: Reader, text_column: str | None, skip: int = 0
) -> Iterator[Chunk]:
    """Yield the rows in chunks, without the first `skip` of them."""
    rows = islice(rows, skip, None)
    while part := list(islice(rows, CHUNK)):
        comments = [_comment(row, text_column=text_column) for row in part]
        yield Chunk(rows=part, comments=comments, position=reader.position)


def _comment(row: Row, *, text_column: str | None) -> object:
    if row.problem:
        return None
    column = text_column or ("comment" if "comment" in row.values else "text")
    return {**row.values, "comment": row.values.get(column)}


def answer_file(
    chunks: Iterable[Chunk],
    *,
    service: Service,
    reader: Reader,
    writer: Writer,
    settings: Settings,
    report: Callable[[str], None] | None = None,
) -> Count:
    """Answer all chunks, write them in order, and report what could not be answered.

    That goes to stderr, beside the bar, where nobody else takes the `report`.
    """
    count = Count()
    waiting: deque[tuple[Chunk, Future[list[Result]]]] = deque()
    with (
        ThreadPoolExecutor(settings.threads, thread_name_prefix="inference") as pool,
        _progress(reader) as bar,
    ):
        say = report or partial(bar.write, file=sys.stderr)

        def finish() -> None:
            chunk, future = waiting.popleft()
            _write(chunk, future.result(), service=service, writer=writer, count=count)
            for line in _complaints(chunk, future.result(), name=reader.name):
                say(line)
            bar.update(chunk.position - bar.n)

        for chunk in chunks:
            waiting.append((chunk, pool.submit(_answer, service, chunk)))
            # One chunk more than there are threads: none of them waits for the reader.
            if len(waiting) > settings.threads:
                finish()
        while waiting:
            finish()
    return count


def _progress(reader: Reader) -> tqdm[Any]:
    # `disable=None` shows the bar on a terminal only.
    return tqdm(total=reader.size, unit=reader.unit, unit_scale=True, disable=None, file=sys.stderr)


def _answer(service: Service, chunk: Chunk) -> list[Result]:
    results = service.answer(chunk.comments, first=chunk.rows[0].number)
    return [
        replace(result, error=Failure(code="invalid_row", message=row.problem))
        if row.problem
        else result
        for row, result in zip(chunk.rows, results, strict=True)
    ]


def _write(
    chunk: Chunk, results: Sequence[Result], *, service: Service, writer: Writer, count: Count
) -> None:
    records = []
    for row, result in zip(chunk.rows, results, strict=True):
        kept = {c: value for c, value in row.values.items() if c not in RESULT_FIELDS}
        answer = result_json(result, taxonomy=service.taxonomy)
        records.append(
            {
                "id": answer.pop("id"),
                **kept,
                **answer,
                "model": service.model,
                "taxonomy": service.fingerprint,
            }
        )
        count.records += 1
        count.errors += result.error is not None
    writer.write(records)


def _complaints(chunk: Chunk, results: Sequence[Result], *, name: str) -> Iterator[str]:
    for row, result in zip(chunk.rows, results, strict=True):
        if result.error:
            yield f"{name}: {row.place}: {result.error.message}"
