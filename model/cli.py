"""The root of the command line. It knows no command: each lives beside the code that it calls.

Commands are found by the entry-point group `echolot.commands` and imported only when called, so
that `echolot --help` answers in a blink. What the user can mend ends as one line and exit code 2.
"""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import cast

import click

from model.errors import EcholotError, MissingExtra

GROUP = "echolot.commands"
# Heavy libraries of an extra, so that a missing one is reported by the extra's name.
EXTRA_OF = {
    "torch": "train",
    "transformers": "train",
    "datasketch": "train",
    "scipy": "train",
    "sklearn": "train",
    "onnx": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "spacy": "keywords",
    "simplemma": "keywords",
    "pyarrow": "parquet",
}
# What each command does, so that the help page needs to import none of them.
HELP = {
    "classify": "Classify the comments of a file.",
    "data": "Check labelled comments.",
    "distill": "Train a model on what finished models say, a smaller one for example.",
    "certify": "Test a model on comments kept for it: what its routes promise.",
    "evaluate": "Judge a model on labelled comments, beside its baselines.",
    "keys": "Make keys for the API.",
    "labels": "Show the taxonomy as a table.",
    "models": "List and show the models at hand, and say which one answers.",
    "serve": "Start the HTTP API.",
    "train": "Fine-tune a model as a run file says.",
}


class LazyGroup(click.Group):
    """A click group whose commands are loaded from entry points when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, without importing one."""
        return sorted({entry.name for entry in entry_points(group=GROUP)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, or None where there is no such name."""
        found = [entry for entry in entry_points(group=GROUP) if entry.name == cmd_name]
        return _load(found[0]) if found else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from `HELP`."""
        rows = [(name, HELP.get(name, "")) for name in self.list_commands(ctx)]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _load(entry: EntryPoint) -> click.Command:
    try:
        return cast("click.Command", entry.load())
    except ModuleNotFoundError as problem:
        raise missing_extra(problem, needed_for=f"echolot {entry.name}") from None


def missing_extra(problem: ModuleNotFoundError, *, needed_for: str) -> Exception:
    """Return the error for a module that an extra would bring, or the problem itself."""
    extra = EXTRA_OF.get((problem.name or "").split(".")[0])
    return MissingExtra(extra, needed_for=needed_for) if extra else problem


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="echolot", prog_name="echolot")
def root() -> None:
    """Echolot: what customer comments are about, how urgent they are, and who has to act."""


def main() -> None:
    """Run the command line; the one place where errors become one line and exit code 2."""
    try:
        # What comes back is the code of a ctx.exit(), else None: commands return nothing.
        sys.exit(root.main(prog_name="echolot", standalone_mode=False))
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except ModuleNotFoundError as problem:
        error = missing_extra(problem, needed_for="this command")
        if not isinstance(error, MissingExtra):
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except EcholotError as problem:
        click.echo(f"error: {problem}", err=True)
        sys.exit(2)
    except OSError as problem:
        if problem.filename is None:  # not about a file that the user named
            raise
        click.echo(f"error: {problem.filename}: {problem.strerror}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
