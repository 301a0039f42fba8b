"""`echolot classify`: a file of comments in, a file of answers out, one record for each, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from serving.readers import Reader, Row
    from serving.service import Service
    from serving.writers import Writer

# Rows that are answered together; a few such chunks are in memory at a time.
CHUNK = 512


@click.command()
@click.argument("source", metavar="IN")
@click.option("--output", "-o", "target", metavar="OUT", required=True, help="File to write.")
@click.option("--text-column", metavar="NAME", help="Column of the text, if not comment or text.")
def classify(source: str, target: str, text_column: str | None) -> None:
    """Classify the comments of the file IN.

    JSONL, CSV or Parquet by extension; - is standard input or output, as JSONL. The text is in
    the column `comment`, else `text`. A record that cannot be read is reported and gets an error.
    """
    from contextlib import ExitStack

    from serving.readers import open_reader
    from serving.service import load_service
    from serving.settings import load_settings
    from serving.writers import open_writer

    settings = load_settings()
    with ExitStack() as stack:
        reader = open_reader(source, stack=stack)
        writer = open_writer(target, reader=reader, stack=stack)
        chunks = _checked(_chunks(reader), reader=reader, text_column=text_column)
        service = load_service(settings)
        answer_file(
            reader,
            chunks,
            writer,
            service=service,
            text_column=text_column,
            threads=settings.threads,
        )


def answer_file(
    reader: Reader,
    chunks: Iterator[Sequence[Row]],
    writer: Writer,
    *,
    service: Service,
    text_column: str | None,
    threads: int,
) -> None:
    """Answer chunk by chunk in several threads, write in order, and report what went wrong."""
    from collections import deque
    from concurrent.futures import Future, ThreadPoolExecutor

    from tqdm import tqdm
