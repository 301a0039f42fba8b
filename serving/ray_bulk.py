"""Bulk beyond one machine: Parquet files in, a folder of Parquet files out, by workers of Ray.

The rows are cut into parts of some thousand. Each worker holds the model, reads its part out of the
input, answers it and leaves one file for it, which appears as a whole and has the name of the part.
A worker that dies is started again and its part is done again: under that name nothing is written
twice. For the same reason an interrupted call goes on with the parts that have no file yet. What
the files hold, one after another by name, are the answers of the single process, row by row.

Paths may be of any file system that fsspec knows, such as s3://bucket/folder. A cluster is one
address away; its machines need this package, the model and the paths. Needs the extra `bulk`.
"""

from __future__ import annotations

import io
import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from model.errors import ConfigError, DataError
from serving.answering import Count, answer_file, chunks_of, rows_of
from serving.parquet_parts import Part, PartReader, cut_parts, find_files, open_path, schema_of
from serving.resuming import PART_ROWS, service_identity
from serving.service import Service, load_service
from serving.settings import Settings, load_settings
from serving.writers import RESULT_FIELDS, ParquetWriter

JOURNAL = "_echolot.json"  # what begins with an underscore is no data to those who read the folder
COMPLAINTS = 20  # rows of a part that are reported one by one
WAITING = 2  # parts that a worker has before it: the one at hand and the next


def classify_parquet(
    source: str,
    target: str,
    *,
    workers: int | None = None,
    address: str | None = None,
    text_column: str | None = None,
    restart: bool = False,
    settings: Settings | None = None,
) -> Count:
    """Answer the Parquet file or folder `source`, and leave the answers in the folder `target`.

    Without an `address` a Ray of its own is started on this machine, with as many workers as it
    has cores; on a cluster there are as many as that has, if `workers` does not say otherwise.
    Raises `DataError` for files, `ConfigError` for a Ray that cannot be used.
    """
    settings = settings or load_settings()
    files = find_files(source)
    parts = list(cut_parts(files, source=source))
    schema = schema_of(files[0])
    _check_columns(schema.names, text_column=text_column, name=files[0])
    service = load_service(settings)
    folder = _Folder(target)
    folder.begin(
        {
            "input": [[Path(file).name, open_path(file)[0].ukey(file)] for file in files],
            "part": PART_ROWS,
            "text column": text_column,
            **service_identity(service, settings),
        },
        restart=restart,
    )
    done = folder.finished()
    count = Count()
    for name in sorted(done):
        count.records += done[name][0]
        count.errors += done[name][1]
    waiting = [part for part in parts if part.name not in done]
    if done:
        print_line(f"going on: {len(done)} of {len(parts)} parts are there")
    total = sum(part.rows for part in parts)
    with tqdm(
        total=total, initial=count.records, unit=" rows", unit_scale=True, disable=None
    ) as bar:
        for found in _run(
            waiting,
            workers=workers,
            address=address,
            arguments={"target": target, "text_column": text_column, "settings": settings},
        ):
            count.records += int(found["records"])
            count.errors += int(found["errors"])
            bar.update(int(found["records"]))
            for line in json.loads(found["complaints"]):
                bar.write(line, file=sys.stderr)
    if not parts:
        folder.write_empty(schema)
    return count


def print_line(line: str) -> None:
    """Say something to whoever called, beside a bar."""
    tqdm.write(line, file=sys.stderr)


class Answering:
    """One worker: holds the model, and answers part after part."""

    def __init__(self, *, target: str, text_column: str | None, settings: Settings) -> None:
        self._folder = _Folder(target)
        self._text_column = text_column
        # One thread a worker: there are as many workers as cores.
        self._settings = settings.model_copy(update={"threads": 1})
        self._service: Service = load_service(self._settings)

    def __call__(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one part and leave its file; return how many records and errors it has."""
        part = Part(**json.loads(item["part"]))
        complaints: list[str] = []
        with ExitStack() as stack:
            reader = PartReader(part, stack=stack)
            answers = io.BytesIO()
            kept = {
                name: kind for name, kind in reader.types().items() if name not in RESULT_FIELDS
            }
            writer = ParquetWriter(answers, kept=kept)
            count = answer_file(
                chunks_of(
                    rows_of(reader, text_column=self._text_column),
                    reader=reader,
                    text_column=self._text_column,
                ),
                service=self._service,
                reader=reader,
                writer=writer,
                settings=self._settings,
                report=complaints.append,
            )
            writer.close()
        if count.records != part.rows:
            raise DataError(f"{part.file}: was changed while it was read")
        self._folder.put(part.name, answers.getvalue())
        if len(complaints) > COMPLAINTS:
            more = len(complaints) - COMPLAINTS
            complaints[COMPLAINTS:] = [
                f"{part.file}: {more} more rows of {part.name} with an error"
            ]
        return {
            "records": count.records,
            "errors": count.errors,
            "complaints": json.dumps(complaints),
        }


class _Folder:
    """The folder of answers: files of parts, and a journal that says what they answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._system, self._path = open_path(url)

    def begin(self, identity: Mapping[str, Any], *, restart: bool) -> None:
        """Make the folder ready. Raises `DataError` where it holds what this call would not."""
        identity = json.loads(json.dumps(identity))
        if self._system.isfile(self._path):
            raise DataError(f"{self._url}: is a file; Ray leaves a folder of Parquet files")
        self._system.makedirs(self._path, exist_ok=True)
        names = self._names()
        if JOURNAL not in names and any(not name.startswith((".", "_")) for name in names):
            raise DataError(f"{self._url}: holds other files; name a new folder or an empty one")
        if JOURNAL in names and restart:
            for name in names:
                if name == JOURNAL or name.startswith(("part-", ".part-")):
                    self._system.rm_file(f"{self._path}/{name}")
        elif JOURNAL in names:
            self._compare(identity)
        self.put(JOURNAL, json.dumps(identity, indent=1).encode())

    def _compare(self, identity: Mapping[str, Any]) -> None:
        try:
            before = json.loads(self._system.cat_file(f"{self._path}/{JOURNAL}"))
            changed = [key for key in identity if before.get(key) != identity[key]]
        except (OSError, ValueError, AttributeError):
            raise DataError(
                f"{self._url}/{JOURNAL}: cannot be read; pass --restart to begin anew"
            ) from None
        if changed:
            raise DataError(
                f"{self._url}: holds answers that were made with another {' and '.join(changed)}; "
                "call it as it was, name another folder, or pass --restart to begin anew"
            )

    def finished(self) -> dict[str, tuple[int, int]]:
        """Return the parts that are there, each with how many records and errors it has."""
        import pyarrow.parquet as pq

        found = {}
        for name in self._names():
            if name.startswith("part-") and name.endswith(".parquet"):
                with self._system.open(f"{self._path}/{name}", "rb") as stream:
                    codes = pq.read_table(stream, columns=["error.code"]).flatten().column(0)
                found[name] = (len(codes), len(codes) - codes.null_count)
        return found

    def put(self, name: str, content: bytes) -> None:
        """Leave a file that appears as a whole, whatever was there before."""
        # On a disk a file grows as it is written, so it is renamed in the end.
        scratch = f"{self._path}/.{name}.{secrets.token_hex(4)}"
        self._system.pipe_file(scratch, content)
        self._system.mv(scratch, f"{self._path}/{name}")

    def write_empty(self, schema: Any) -> None:
        """Leave the answer to an input without rows: a file without any."""
        stream = io.BytesIO()
        types = dict(zip(schema.names, schema.types, strict=True))
        kept = {name: kind for name, kind in types.items() if name not in RESULT_FIELDS}
        writer = ParquetWriter(stream, kept=kept)
        writer.write([])
        writer.close()
        self.put("part-000000.parquet", stream.getvalue())

    def _names(self) -> list[str]:
        # What another process wrote meanwhile counts too.
        self._system.invalidate_cache(self._path)
        return [
            entry.rstrip("/").rsplit("/", 1)[-1] for entry in self._system.ls(self._path, False)
        ]


def _check_columns(columns: Sequence[str], *, text_column: str | None, name: str) -> None:
    wanted = (text_column,) if text_column else ("comment", "text")
    if not set(wanted) & set(columns):
        raise DataError(
            f"{name}: no column {' or '.join(map(repr, wanted))};"
            f" it has {', '.join(map(repr, columns))}: name one with --text-column"
        )


def _run(
    parts: Sequence[Part],
    *,
    workers: int | None,
    address: str | None,
    arguments: Mapping[str, Any],
) -> Iterator[dict[str, Any]]:
    """Let the workers answer the parts; yield what they say of each, as it comes."""
    if not parts:
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told that Echolot runs
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what matters comes as an exception
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError:
        raise ConfigError("Ray is not installed: pip install 'echolot[bulk]'") from None
    for name in ("ray", "ray.data"):  # each has a level of its own
        logging.getLogger(name).setLevel(logging.ERROR)
    started = not ray.is_initialized()
    if started:
        _begin(ray, address=address, workers=workers)
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        size = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
        size = min(size, len(parts))
        items = [{"part": json.dumps(asdict(part))} for part in parts]
        answered = ray.data.from_items(items, override_num_blocks=len(items)).map(
            Answering,
            fn_constructor_kwargs=dict(arguments),
            compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=WAITING),
            num_cpus=1,
        )
        yield from answered.iter_rows()
    except ray.exceptions.RayError as problem:
        raise _plain(problem) from None
    finally:
        if started:
            ray.shutdown()


def _begin(ray: Any, *, address: str | None, workers: int | None) -> None:
    options: dict[str, Any] = {"address": address}
    if address is None:
        cores = workers or Settings.model_fields["threads"].get_default(
            call_default_factory=True, validated_data={}
        )
        options = {"address": "local", "num_cpus": cores, "include_dashboard": False}
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as problem:
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise ConfigError(f"Ray at {address or 'this machine'}: {line}") from None


def _plain(problem: Exception) -> Exception:
    """Return what a worker met as an error of our own, without its traceback."""
    cause: Any = getattr(problem, "cause", None)
    while getattr(cause, "cause", None) is not None:
        cause = cause.cause
    if isinstance(cause, DataError | ConfigError):
        return type(cause)(str(cause))
    return ConfigError(f"Ray: {type(cause or problem).__name__} in a worker; see the logs of Ray")
