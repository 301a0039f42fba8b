"""`echolot classify`: a file of comments in, a file of answers out, record by record, in order."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", metavar="IN")
@click.option("--output", "-o", "target", metavar="OUT", required=True, help="File to write.")
@click.option("--text-column", metavar="NAME", help="Column of the text, if not comment or text.")
def classify(source: str, target: str, text_column: str | None) -> None:
    """Classify the comments of the file IN.

    JSONL, CSV or Parquet by extension; - is standard input or output, as JSONL. The text is in
    the column comment, else text. A record that cannot be read is reported and gets an error.
    """
    from contextlib import ExitStack

    from serving.answering import answer_file, chunks_of
    from serving.readers import open_reader
    from serving.service import load_service
    from serving.settings import load_settings
    from serving.writers import open_writer

    settings = load_settings()
    with ExitStack() as stack:
        # Everything that can be wrong with the files is said before seconds go into the model.
        reader = open_reader(source, stack=stack)
        writer = open_writer(target, reader=reader, stack=stack)
        chunks = chunks_of(reader, text_column=text_column)
        service = load_service(settings)
        count = answer_file(
            chunks, service=service, reader=reader, writer=writer, settings=settings
        )
    click.echo(f"{count.records} records answered, {count.errors} of them with an error", err=True)
