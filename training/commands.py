"""`echolot train`, `distill`, `evaluate`, `certify` and `data check`.

The run file is checked before torch and its kin are imported: that takes seconds.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import click

from model.commands import DATA_DIR
from model.errors import ConfigError
from model.registry import resolve
from training.config import RunConfig, check_files, load_run

RUN = click.argument("run", type=click.Path(path_type=Path))
MODEL = click.option(
    "--model", "name", help="Model by name or folder; that of the run if not given."
)
_UNTOUCHED = {"start": None, "teacher": None}  # what only training reads need not be there to judge


def _show_logs() -> None:
    from transformers.utils import logging as transformers_logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for name in ("httpx", "huggingface_hub", "onnxscript", "onnx_ir"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # The exporter warns of operators of torchvision, which nothing here has.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    # Loading what is on disk takes a moment; our own bar shows what takes minutes.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    silence: Callable[[], None] = transformers_logging.disable_progress_bar
    silence()


@click.command()
@RUN
@DATA_DIR
@click.option("--restart", is_flag=True, help="Begin anew instead of going on from a checkpoint.")
def train(run: Path, data_dir: Path, restart: bool) -> None:
    """Fine-tune a model as the file RUN says, judge it, and add its figures to the table of runs.

    An interrupted run goes on where it was when it is called again.
    """
    config = load_run(run)
    if config.teacher is not None:
        raise ConfigError(f"{run}: has a [teacher]; call echolot distill")
    _train(run, config, data_dir=data_dir, restart=restart)


@click.command()
@RUN
@DATA_DIR
@click.option("--restart", is_flag=True, help="Begin anew instead of going on from a checkpoint.")
def distill(run: Path, data_dir: Path, restart: bool) -> None:
    """Train a model on what the finished models in the [teacher] table of the file RUN say.

    A smaller one has fewer `layers`. Else as `echolot train`.
    """
    config = load_run(run)
    if config.teacher is None:
        raise ConfigError(f"{run}: has no [teacher]; add the table with models = [...]")
    for name in config.teacher.models:
        resolve(name, data_dir=data_dir)
    _train(run, config, data_dir=data_dir, restart=restart)


def _train(run: Path, config: RunConfig, *, data_dir: Path, restart: bool) -> None:
    check_files(config, file=run)
    from training.run import train as train_run

    _show_logs()
    folder = train_run(run, data_dir=data_dir, restart=restart)
    click.echo(f"model: {folder}")


@click.command()
@RUN
@DATA_DIR
@MODEL
@click.option(
    "--beside",
    multiple=True,
    help="A further model, by name or folder, to compare with on the same comments; repeatable.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for report.md, metrics.json, plots, and errors.md with the worst mistakes and "
    "their texts; the report is printed if not given.",
)
def evaluate(
    run: Path, data_dir: Path, name: str | None, beside: tuple[str, ...], output: Path | None
) -> None:
    """Judge a model on the test data of the file RUN, beside keywords and TF-IDF + SVM."""
    config = load_run(run).model_copy(update=_UNTOUCHED)
    if not config.test:
        raise ConfigError(f"{run}: names no test data; add a [[test]] table with a path")
    check_files(config, file=run)
    from model.classifier import Classifier
    from training.behaviour import read_pairs
    from training.evaluate import evaluate as judge
    from training.evaluate import router_for
    from training.prepare import read_data, read_taxonomy

    _show_logs()
    taxonomy = read_taxonomy(config, folder=run.parent)
    classifier = Classifier.load(resolve(name or config.name, data_dir=data_dir), taxonomy=taxonomy)
    data = read_data(config, folder=run.parent, taxonomy=taxonomy)
    rules = run.parent / config.routing if config.routing else None
    report = judge(
        classifier,
        train=list(chain(*data.train)),
        test=data.test,
        taxonomy=taxonomy,
        router=router_for(taxonomy, path=rules),
        must_route=data.must_route,
        behaviour=[
            pair
            for file in config.behaviour
            for pair in read_pairs(run.parent / file, taxonomy=taxonomy)
        ],
        beside={
            other: Classifier.load(resolve(other, data_dir=data_dir), taxonomy=taxonomy)
            for other in beside
        },
    )
    if output is None:
        click.echo(report.markdown())
        return
    from training.plots import draw

    output.mkdir(parents=True, exist_ok=True)
    draw(report, output)
    (output / "errors.md").write_text(report.worst(), encoding="utf-8")
    (output / "report.md").write_text(report.markdown(), encoding="utf-8")
    (output / "metrics.json").write_text(
        json.dumps(report.figures(), indent=2) + "\n", encoding="utf-8"
    )
    click.echo(f"report: {output / 'report.md'}")


@click.command()
@RUN
@DATA_DIR
@MODEL
def certify(run: Path, data_dir: Path, name: str | None) -> None:
    """Test a finished model on the [[certify]] data of the file RUN: what its routes promise.

    The comments must have served nothing else. The certificate goes into the model's folder, and
    `needs_review` then keeps the promise for whatever routing rules are used.
    """
    config = load_run(run).model_copy(update=_UNTOUCHED)
    if not config.certify:
        raise ConfigError(f"{run}: names no data to certify; add a [[certify]] table with a path")
    check_files(config, file=run)
    from training.certify import certify as certify_model
    from training.evaluate import router_for
    from training.prepare import read_data, read_taxonomy

    _show_logs()
    taxonomy = read_taxonomy(config, folder=run.parent)
    rules = run.parent / config.routing if config.routing else None
    router = router_for(taxonomy, path=rules)
    if router is None:
        raise ConfigError(f'{run}: routes need rules for these labels; add routing = "…"')
    folder = resolve(name or config.name, data_dir=data_dir)
    data = read_data(config, folder=run.parent, taxonomy=taxonomy)
    click.echo(certify_model(folder, data.certify, taxonomy=taxonomy, router=router))


@click.group()
def data() -> None:
    """Check labelled comments."""


@data.command("check")
@RUN
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for data.md and data.json; the findings are printed if not given.",
)
@click.option(
    "--translations",
    is_flag=True,
    help="Look for repeats between languages too, with the run's encoder; takes minutes.",
)
@click.option(
    "--suspects",
    is_flag=True,
    help="List labels that are likely wrong, by predictions from the others; takes minutes.",
)
@DATA_DIR
@click.pass_context
def check(
    context: click.Context,
    run: Path,
    output: Path | None,
    translations: bool,
    suspects: bool,
    data_dir: Path,
) -> None:
    """Check the data that the file RUN names: rules, near repeats, counts.

    Exit code 1 if comments of one part nearly stand in another or an id stands twice, 2 if a
    record breaks the rules.
    """
    config = load_run(run).model_copy(update=_UNTOUCHED)
    check_files(config, file=run)
    from training.check import check as check_data
    from training.prepare import prepare_encoder, read_taxonomy

    taxonomy = read_taxonomy(config, folder=run.parent)
    encoder = None
    if translations or suspects:
        _show_logs()
        encoder = prepare_encoder(config, folder=run.parent, cache=data_dir)
    findings = check_data(
        config,
        folder=run.parent,
        taxonomy=taxonomy,
        translations_by=encoder if translations else None,
        suspects_by=encoder if suspects else None,
    )
    if output is None:
        click.echo(findings.markdown(), nl=False)
    else:
        output.mkdir(parents=True, exist_ok=True)
        (output / "data.md").write_text(findings.markdown(), encoding="utf-8")
        (output / "data.json").write_text(
            json.dumps(findings.to_json(), indent=2) + "\n", encoding="utf-8"
        )
        click.echo(f"findings: {output / 'data.md'}")
    if findings.faulty:
        context.exit(1)
