"""`echolot classify`: a file of comments in, a file of answers out, record by record, in order."""

from __future__ import annotations

import click


@click.command()
@click.argument("source", metavar="IN")
@click.option("--output", "-o", "target", metavar="OUT", required=True, help="File to write.")
@click.option("--text-column", metavar="NAME", help="Column of the text, if not comment or text.")
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    help="ray: Parquet to a folder of Parquet files, by workers of Ray (extra bulk).",
)
@click.option("--address", metavar="ADDRESS", help="Of a Ray cluster; one here if not given.")
@click.option("--workers", type=click.IntRange(min=1), help="Of Ray; as many as there are cores.")
@click.option("--restart", is_flag=True, help="Begin anew instead of after what was interrupted.")
def classify(
    source: str,
    target: str,
    text_column: str | None,
    engine: str,
    address: str | None,
    workers: int | None,
    restart: bool,
) -> None:
    """Classify the comments of the file IN.

    JSONL, CSV or Parquet by extension; - is standard input or output, as JSONL. The text is in
    the column comment, else text. A record that cannot be read is reported and gets an error.
    A call that was interrupted goes on where it was when it is made again.
    """
    if engine == "ray":
        _by_ray(source, target, text_column, address=address, workers=workers, restart=restart)
        return
    if address or workers:
        raise click.UsageError("--address and --workers belong to --engine ray")

    from contextlib import ExitStack

    from serving.answering import answer_file, chunks_of, rows_of
    from serving.readers import STANDARD_STREAM, open_reader
    from serving.resuming import Progress, input_identity, service_identity
    from serving.service import load_service
    from serving.settings import load_settings
    from serving.writers import form_of, open_writer

    settings = load_settings()
    with ExitStack() as stack:
        # Everything that can be wrong with the files is said before seconds go into the model.
        reader = open_reader(source, stack=stack)
        form = form_of(target, reader=reader)
        progress = None
        if STANDARD_STREAM in (source, target):  # nothing to come back to
            writer = open_writer(target, form, stack=stack)
        else:
            writer = progress = stack.enter_context(Progress(target, form))
        rows = rows_of(reader, text_column=text_column)
        service = load_service(settings)
        if progress:
            identity = {
                "input": input_identity(source),
                "text column": text_column,
                **service_identity(service, settings),
            }
            progress.resume(identity, restart=restart)
            if progress.rows:
                click.echo(f"going on after record {progress.rows}", err=True)
        done = progress.rows if progress else 0
        chunks = chunks_of(rows, reader=reader, text_column=text_column, skip=done)
        count = answer_file(
            chunks, service=service, reader=reader, writer=writer, settings=settings
        )
        if progress:
            progress.finish()
            count.records, count.errors = progress.rows, progress.errors
    click.echo(f"{count.records} records answered, {count.errors} of them with an error", err=True)


def _by_ray(
    source: str,
    target: str,
    text_column: str | None,
    *,
    address: str | None,
    workers: int | None,
    restart: bool,
) -> None:
    from serving.ray_bulk import classify_parquet

    count = classify_parquet(
        source, target, workers=workers, address=address, text_column=text_column, restart=restart
    )
    click.echo(f"{count.records} records answered, {count.errors} of them with an error", err=True)
