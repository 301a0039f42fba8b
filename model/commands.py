"""`echolot labels` and `echolot models`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from model.artifact import FILES, read_artifact, read_manifest
from model.errors import ArtifactError
from model.registry import in_production, list_models, promote, resolve, roll_back
from model.taxonomy import LANGUAGES, load_taxonomy

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("data/local"),
    envvar="ECHOLOT_DATA_DIR",
    show_default=True,
    help="Folder whose models/ holds models of your own.",
)


@click.command()
@click.option(
    "--taxonomy",
    type=click.Path(path_type=Path),
    envvar="ECHOLOT_TAXONOMY",
    help="Taxonomy file; the shipped one if not given.",
)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
def labels(taxonomy: Path | None, language: str) -> None:
    """Show areas, labels and signals of a taxonomy as a table."""
    known = load_taxonomy(taxonomy)
    terms = [*known.labels.values(), *known.signals.values()]
    rows = [
        (term.area or "signal", term.id, term.name[language], term.means[language])
        for term in terms
    ]
    _echo_table([("area", "id", "name", "what it means"), *rows])


@click.group()
def models() -> None:
    """List and show the models at hand, and say which one answers."""


@models.command("list")
@DATA_DIR
def list_(data_dir: Path) -> None:
    """List the models: name, date, languages, labels, size. A damaged one hides no other."""
    rows = [("name", "model", "created", "languages", "labels", "MB", "")]
    used = in_production(data_dir=data_dir)
    for name, folder in list_models(data_dir=data_dir).items():
        try:
            manifest = read_manifest(folder)
        except ArtifactError:
            rows.append((name, f"damaged: see echolot models show {name}", "", "", "", "", ""))
            continue
        count = sum(not key.startswith("signal:") for key in manifest["taxonomy"]["terms"])
        size = sum(manifest["files"][file]["bytes"] for file in FILES) / 1e6
        created = str(manifest.get("created", ""))
        languages = " ".join(manifest["languages"])
        row = (name, manifest["name"], created, languages, str(count), f"{size:.1f}")
        rows.append((*row, "in production" if name == used else ""))
    _echo_table(rows)


@models.command("show")
@click.argument("name", required=False)
@DATA_DIR
def show(name: str | None, data_dir: Path) -> None:
    """Check a model (name or folder; the one in production if not given) and show its manifest."""
    artifact = read_artifact(resolve(name, data_dir=data_dir))
    click.echo(json.dumps(artifact.manifest, indent=2, ensure_ascii=False))


@models.command("promote")
@click.argument("name")
@DATA_DIR
def promote_(name: str, data_dir: Path) -> None:
    """Check the model NAME and put it into production: it answers where no model is named.

    A running service takes it up by itself.
    """
    promote(name, data_dir=data_dir)
    click.echo(f"{name} is in production")


@models.command("roll-back")
@DATA_DIR
def roll_back_(data_dir: Path) -> None:
    """Take back the last promotion: the model before it is in production again."""
    click.echo(f"{roll_back(data_dir=data_dir)} is in production again")


def _echo_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())
