from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest

from model import cli
from model.errors import MissingExtra
from model.taxonomy import load_taxonomy

# Answers as a console script does; what stands before it is run first.
CALL = "import sys; sys.argv[0] = 'echolot'; from model.cli import main; main()"
BLOCK = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""


def echolot(*arguments: str, before: str = "", cwd: Path | None = None):
    return subprocess.run(
        [sys.executable, "-c", f"{before}\n{CALL}", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        cwd=cwd,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=120,
        check=False,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """Assert exit code 2 and a single line of error; return it."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_the_help_page_names_every_command_and_imports_nothing_heavy():
    report = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    done = echolot("--help", before=report)
    assert done.returncode == 0
    for entry in entry_points(group=cli.GROUP):
        assert f"\n  {entry.name} " in done.stdout
    loaded = set(done.stderr.split())
    assert "click" in loaded
    heavy = {"numpy", "torch", "fastapi", "pydantic", "onnxruntime", "tokenizers", "transformers"}
    assert not loaded & heavy


def test_every_command_has_a_line_on_the_help_page():
    assert set(cli.HELP) == {entry.name for entry in entry_points(group=cli.GROUP)}


def test_an_unknown_command_ends_with_2_and_no_traceback():
    done = echolot("clasify")
    assert done.returncode == 2
    assert "No such command 'clasify'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["labels", "--langauge", "de"], ["models", "shw"], []])
def test_wrong_arguments_end_with_2(arguments):
    done = echolot(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("language", ["de", "en"])
def test_labels_prints_every_label_and_signal_in_both_languages(language):
    done = echolot("labels", "--language", language)
    assert done.returncode == 0
    taxonomy = load_taxonomy()
    lines = done.stdout.splitlines()[1:]
    terms = [*taxonomy.labels.values(), *taxonomy.signals.values()]
    assert len(lines) == len(terms)
    for line, term in zip(lines, terms, strict=True):
        assert line.split()[:2] == [term.area or "signal", term.id]
        assert term.name[language] in line
        assert line.endswith(term.means[language].rstrip())


def test_a_broken_taxonomy_is_one_line(tmp_path):
    path = tmp_path / "labels.toml"
    path.write_text('[areas]\nbread = { en = "Bread" }\n', "utf-8")
    line = one_line(echolot("labels", "--taxonomy", str(path)))
    assert f"{path}: [areas] bread" in line
    assert "No such file" in one_line(echolot("labels", "--taxonomy", str(tmp_path / "no.toml")))


@pytest.mark.parametrize(
    ("command", "library", "extra"),
    [("train", "torch", "train"), ("evaluate", "sklearn", "train")],
)
def test_a_missing_extra_is_one_line_that_says_how_to_get_it(command, library, extra, tmp_path):
    run, data = tmp_path / "run.toml", tmp_path / "data.jsonl"
    data.touch()
    run.write_text(
        'name = "a"\nbase = "b"\ntaxonomy = "data.jsonl"\n'
        '[[train]]\npath = "data.jsonl"\n[[test]]\npath = "data.jsonl"\n'
    )
    done = echolot(command, str(run), before=BLOCK.format(name=library))
    assert f"'.[{extra}]'" in one_line(done)


def test_a_missing_library_that_no_extra_brings_stays_what_it_is():
    problem = ModuleNotFoundError("No module named 'nowhere'", name="nowhere.at.all")
    assert cli.missing_extra(problem, needed_for="x") is problem
    heavy = ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")
    assert isinstance(cli.missing_extra(heavy, needed_for="x"), MissingExtra)


def test_models_are_listed_and_a_damaged_one_hides_no_other(tiny, tmp_path):
    for name in ("hotel-1", "hotel-2"):
        shutil.copytree(tiny, tmp_path / "models" / name)
    (tmp_path / "models" / "hotel-1" / "manifest.json").write_text("{")
    done = echolot("models", "list", "--data-dir", str(tmp_path))
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["hotel-1"][0] == "damaged:"
    assert rows["hotel-2"][:5] == ["hotel-1", "2026-01-31", "de", "en", "3"]


def test_a_model_is_promoted_listed_as_such_and_rolled_back(tiny, tmp_path):
    for name in ("hotel-1", "hotel-2"):
        shutil.copytree(tiny, tmp_path / "models" / name)
    where = ("--data-dir", str(tmp_path))
    for name in ("hotel-1", "hotel-2"):
        assert echolot("models", "promote", name, *where).stdout == f"{name} is in production\n"
    listed = echolot("models", "list", *where).stdout.splitlines()
    assert [line.split()[0] for line in listed if "in production" in line] == ["hotel-2"]
    shown = echolot("models", "show", *where)
    assert shown.stdout == (tmp_path / "models/hotel-2/manifest.json").read_text("utf-8")
    done = echolot("models", "roll-back", *where)
    assert done.stdout == "hotel-1 is in production again\n"
    assert "'hotel-3'" in one_line(echolot("models", "promote", "hotel-3", *where))


def test_a_model_is_shown_after_it_was_checked(tiny, tmp_path):
    folder = shutil.copytree(tiny, tmp_path / "models" / "hotel-1")
    done = echolot("models", "show", "hotel-1", "--data-dir", str(tmp_path))
    assert done.returncode == 0
    assert done.stdout == (folder / "manifest.json").read_text("utf-8")
    (folder / "tokenizer.json").write_text("{}")
    line = one_line(echolot("models", "show", "hotel-1", "--data-dir", str(tmp_path)))
    assert "tokenizer.json" in line


def test_a_model_that_is_not_there_is_one_line(tmp_path):
    line = one_line(echolot("models", "show", "nothing", "--data-dir", str(tmp_path)))
    assert "no model or model folder 'nothing'" in line


def test_an_interruption_ends_with_130(monkeypatch, capsys):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["echolot", "labels"])
    monkeypatch.setattr(cli, "_load", interrupted)
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert leaving.value.code == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="signals are sent otherwise there")
def test_an_interrupted_process_ends_with_130_and_no_traceback():
    # Started from a shell's background, a process inherits that it should ignore the signal.
    before = """
import signal
import time
import model.taxonomy
signal.signal(signal.SIGINT, signal.default_int_handler)
def wait(path):
    print("on", flush=True)
    time.sleep(60)
model.taxonomy.load_taxonomy = wait
"""
    with subprocess.Popen(
        [sys.executable, "-c", f"{before}\n{CALL}", "labels"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "on\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130
    assert said.split() == ["interrupted"]


@pytest.mark.parametrize("code", [0, 3])
def test_the_exit_code_of_a_command_is_kept(monkeypatch, code):
    @click.command()
    @click.pass_context
    def leave(context: click.Context) -> None:
        context.exit(code)

    monkeypatch.setattr(sys, "argv", ["echolot", "labels"])
    monkeypatch.setattr(cli, "_load", lambda entry: leave)
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert (leaving.value.code or 0) == code


def test_a_file_that_cannot_be_opened_is_one_line(monkeypatch, capsys, tmp_path):
    @click.command()
    def write() -> None:
        (tmp_path / "no" / "such" / "folder").write_text("x")

    monkeypatch.setattr(sys, "argv", ["echolot", "labels"])
    monkeypatch.setattr(cli, "_load", lambda entry: write)
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    assert leaving.value.code == 2
    error = capsys.readouterr().err
    assert error == f"error: {tmp_path / 'no' / 'such' / 'folder'}: No such file or directory\n"
