"""What an interrupted call had finished: whole files of answers, from which the next one goes on.

Beside OUT lies a folder `.OUT.progress` with parts of some thousand answers each and a journal
(`progress.json`) of those that are whole. A call with the same input, model, rules and options
passes over the rows that have answers; any other is refused. At the end the parts are joined into
OUT, which appears as a whole, and the folder goes. At most one part is answered twice, and none of
it is written twice.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from model.errors import DataError
from model.routing import SHIPPED
from serving.service import Service
from serving.settings import Settings
from serving.writers import Form, Writer, atomic, join_parts, open_writer

JOURNAL = "progress.json"
# Answers in a part: half a minute's work on two cores may have to be done again.
PART_ROWS = 8_192
HEAD_BYTES = 1 << 20  # of the input that tell it from another of equal size and time


class Progress:
    """The writer of one call that may be interrupted. `rows` have an answer, `errors` of them one.

    Raises `DataError` where the folder cannot be written.
    """

    def __init__(self, target: str, form: Form) -> None:
        self._name = target
        # A link is followed, as it is for the file itself.
        path = Path(target).resolve()
        if path.exists() and not path.is_file():
            raise DataError(f"{target}: is no file; name a file, or - for standard output")
        self._form = form
        self._folder = path.with_name(f".{path.name}.progress")
        try:
            self._folder.mkdir(exist_ok=True)
        except OSError as problem:
            raise DataError(f"{target}: cannot be written ({problem.strerror})") from None
        self._identity: Mapping[str, Any] = {}
        self._parts: list[str] = []
        self._open: tuple[ExitStack, Writer] | None = None
        self._fresh: dict[str, int] = {"rows": 0, "errors": 0}  # of the part that is open
        self.rows = self.errors = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave what is whole; a folder without any of it is removed."""
        if self._open is not None:
            # With the problem: the half of a part is removed, not kept.
            self._open[0].__exit__(kind or InterruptedError, problem, trace)
            self._open = None
        if not self._parts and not (self._folder / JOURNAL).exists():
            shutil.rmtree(self._folder, ignore_errors=True)

    def resume(self, identity: Mapping[str, Any], *, restart: bool) -> None:
        """Take up what an earlier call has finished, or forget it with `restart`.

        Raises `DataError` where that was of another `identity`: a table of plain values.
        """
        journal = self._folder / JOURNAL
        self._identity = json.loads(json.dumps(identity))
        if not journal.exists() or restart:
            for left in self._folder.iterdir():
                left.unlink()
            return
        try:
            read = json.loads(journal.read_text("utf-8"))
            before, parts = read["of"], [str(name) for name in read["parts"]]
            rows, errors = int(read["rows"]), int(read["errors"])
        except (OSError, ValueError, LookupError, TypeError):
            raise DataError(f"{journal}: cannot be read; pass --restart to begin anew") from None
        changed = [key for key in self._identity if before.get(key) != self._identity[key]]
        if changed:
            raise DataError(
                f"{self._name}: an interrupted call left {rows} answers, made with another "
                f"{' and '.join(changed)}; call it as it was, or pass --restart to begin anew"
            )
        missing = [name for name in parts if not (self._folder / name).is_file()]
        if missing:
            raise DataError(
                f"{self._folder / missing[0]}: is missing; pass --restart to begin anew"
            )
        self._parts, self.rows, self.errors = parts, rows, errors

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write the records after those before; a part that is full is finished."""
        if self._open is None:
            stack = ExitStack()
            file = str(self._folder / self._part)
            writer = open_writer(file, self._form, stack=stack, head=not self._parts)
            self._open = stack, writer
        self._open[1].write(records)
        self._fresh["rows"] += len(records)
        self._fresh["errors"] += sum(record.get("error") is not None for record in records)
        if self._fresh["rows"] >= PART_ROWS:
            self._finish_part()

    def finish(self) -> None:
        """Join the parts into the target, and remove what is no longer needed."""
        if self._open is None and not self._parts:
            self.write([])  # an input without rows has an answer too: a file without any
        if self._open is not None:
            self._finish_part()
        with atomic(self._name) as stream:
            join_parts([self._folder / name for name in self._parts], stream, kind=self._form.kind)
        shutil.rmtree(self._folder)

    @property
    def _part(self) -> str:
        return f"part-{len(self._parts):06d}.{self._form.kind}"

    def _finish_part(self) -> None:
        if self._open is not None:
            self._open[0].close()
            self._open = None
        self._parts.append(self._part)
        self.rows += self._fresh["rows"]
        self.errors += self._fresh["errors"]
        self._fresh = {"rows": 0, "errors": 0}
        journal = {
            "of": self._identity,
            "parts": self._parts,
            "rows": self.rows,
            "errors": self.errors,
        }
        with atomic(str(self._folder / JOURNAL)) as stream:
            stream.write(json.dumps(journal, indent=1).encode())


def input_identity(path: str) -> dict[str, Any]:
    """Return what tells an input file from another, without reading all of it."""
    file = Path(path)
    with file.open("rb") as stream:
        head = hashlib.sha256(stream.read(HEAD_BYTES)).hexdigest()
        status = os.fstat(stream.fileno())
    return {"bytes": status.st_size, "modified": status.st_mtime_ns, "head": head}


def service_identity(service: Service, settings: Settings) -> dict[str, Any]:
    """Return what tells one way to answer from another: model, labels, rules and limits."""
    return {
        "model": f"{service.model} {service.version.rpartition('@')[2]}",
        "taxonomy": service.fingerprint,
        "routing": hashlib.sha256((settings.routing or SHIPPED).read_bytes()).hexdigest(),
        "review risk": settings.review_risk,
        "max characters": settings.max_characters,
    }
