"""A call that is killed and made again ends with the answers of one that was not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from model.errors import DataError
from serving import bulk, resuming, service
from tests.fakes import WordClassifier, word_service

ROOT = Path(__file__).parents[2]
ROWS = 6_000
PART = 1_000
# The command as it is, with a classifier that needs no weights, and small parts.
COMMAND = f"""
import sys
from serving import bulk, resuming, service
from tests.fakes import WordClassifier, word_service
resuming.PART_ROWS = {PART}
seconds = float(sys.argv.pop(1))
service.load_service = lambda settings: word_service(WordClassifier(seconds=seconds))
bulk.classify()
"""
KINDS = ["jsonl", "csv", "parquet"]


@pytest.fixture(autouse=True)
def _words(monkeypatch):
    monkeypatch.setattr(service, "load_service", lambda settings: word_service())
    monkeypatch.setattr(resuming, "PART_ROWS", PART)


def write_input(folder: Path, rows: int = ROWS) -> Path:
    file = folder / "in.jsonl"
    lines = [
        json.dumps({"id": n, "comment": f"Nr. {n} kaputt" if n % 2 else "fast", "shop": "Köln"})
        for n in range(rows)
    ]
    lines[7] = "no JSON"
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return file


def run(*arguments: object) -> str:
    result = CliRunner().invoke(bulk.classify, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stderr


def killed(source: Path, target: Path, *, after: int) -> None:
    """Start the command and kill it once so many parts are whole."""
    work = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "0.2", str(source), "-o", str(target)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60
    while time.monotonic() < end and work.poll() is None and len(parts(target)) < after:
        time.sleep(0.01)
    work.send_signal(signal.SIGKILL)
    assert work.wait() == -signal.SIGKILL


def parts(target: Path) -> list[str]:
    journal = target.with_name(f".{target.name}.progress") / "progress.json"
    return json.loads(journal.read_text("utf-8"))["parts"] if journal.is_file() else []


def content(file: Path) -> object:
    if file.suffix != ".parquet":
        return file.read_bytes()
    parquet = pytest.importorskip("pyarrow.parquet")
    return parquet.read_table(file).to_pylist()


@pytest.mark.parametrize("kind", KINDS)
def test_a_call_that_was_killed_twice_ends_with_the_same_rows(tmp_path, kind):
    source = write_input(tmp_path)
    whole, broken = tmp_path / f"whole.{kind}", tmp_path / f"broken.{kind}"
    run(source, "-o", whole)
    killed(source, broken, after=1)
    first = len(parts(broken))
    killed(source, broken, after=first + 1)
    assert not broken.exists()
    done = len(parts(broken)) * PART
    assert PART < done < ROWS
    said = run(source, "-o", broken)
    assert "going on after record " in said
    assert f"{ROWS} records answered, 1 of them with an error" in said
    assert content(broken) == content(whole)
    assert {path.name for path in tmp_path.iterdir()} == {source.name, whole.name, broken.name}


def left_behind(folder: Path, monkeypatch) -> tuple[Path, Path]:
    """Return input and target of a call that failed after its first part."""

    class Failing(WordClassifier):
        def classify(self, comments):
            if len(self.calls) > 3:
                raise RuntimeError("out of memory")
            return super().classify(comments)

    source, target = write_input(folder), folder / "out.jsonl"
    monkeypatch.setattr(service, "load_service", lambda settings: word_service(Failing()))
    with pytest.raises(RuntimeError, match="out of memory"):
        run(source, "-o", target)
    monkeypatch.setattr(service, "load_service", lambda settings: word_service())
    assert parts(target)
    return source, target


def test_another_input_is_refused_until_asked_to_begin_anew(tmp_path, monkeypatch):
    source, target = left_behind(tmp_path, monkeypatch)
    source.write_text(source.read_text("utf-8") + '{"comment": "broken"}\n', "utf-8")
    with pytest.raises(DataError, match=r"made with another input; .* pass --restart"):
        run(source, "-o", target)
    assert parts(target)  # nothing is lost by that
    said = run(source, "-o", target, "--restart")
    assert "going on" not in said
    assert len(target.read_text("utf-8").splitlines()) == ROWS + 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda m: m.setenv("ECHOLOT_REVIEW_RISK", "0.1"), "review risk"),
        (lambda m: m.setenv("ECHOLOT_MAX_CHARACTERS", "500"), "max characters"),
        (
            lambda m: m.setattr(service, "load_service", lambda settings: word_service(Other())),
            "model",
        ),
    ],
)
def test_another_model_or_setting_is_refused_and_named(tmp_path, monkeypatch, change, named):
    source, target = left_behind(tmp_path, monkeypatch)
    change(monkeypatch)
    with pytest.raises(DataError, match=f"made with another {named}; "):
        run(source, "-o", target)


class Other(WordClassifier):
    name = "words-2"


def test_a_part_that_is_gone_and_a_journal_that_is_damaged_are_one_line(tmp_path, monkeypatch):
    source, target = left_behind(tmp_path, monkeypatch)
    folder = target.with_name(f".{target.name}.progress")
    (folder / parts(target)[0]).unlink()
    with pytest.raises(DataError, match=r"part-000000\.jsonl: is missing; pass --restart"):
        run(source, "-o", target)
    (folder / "progress.json").write_text("{", "utf-8")
    with pytest.raises(DataError, match=r"progress\.json: cannot be read; pass --restart"):
        run(source, "-o", target)
    run(source, "-o", target, "--restart")
    assert len(target.read_text("utf-8").splitlines()) == ROWS


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_without_rows_becomes_a_file_without_rows(tmp_path, kind):
    (tmp_path / "in.csv").write_text("comment\n", "utf-8")
    run(tmp_path / "in.csv", "-o", tmp_path / f"out.{kind}")
    found = content(tmp_path / f"out.{kind}")
    assert len(found.splitlines() if isinstance(found, bytes) else found) == (kind == "csv")
