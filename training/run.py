"""One training run from its file to its artefact: data, fine-tuning, export, calibration."""

from __future__ import annotations

import csv
import json
import logging
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from model.artifact import write_artifact
from model.calibration import Calibration
from model.classifier import Classifier
from model.registry import resolve
from model.taxonomy import Taxonomy
from model.text import clean
from training.behaviour import read_pairs
from training.calibrate import fit_calibration, fit_evidence
from training.config import RunConfig, check_files, load_run
from training.corpus import Example
from training.encoder import load_tokenizer
from training.evaluate import comments_of, evaluate, evidence_score, router_for
from training.export import export
from training.features import Featurizer
from training.finetune import CHECKPOINT, Learner, Trainer, build_learner
from training.finished import described
from training.prepare import Data, prepare_encoder, read_data, read_taxonomy
from training.publish import manifest_of, publish, write_card
from training.report import MODEL, Report
from training.slips import slipped
from training.teacher import Teacher, teach
from training.weights import WEIGHTS, save_weights, take_over

log = logging.getLogger(__name__)
RUNS_TABLE = "runs.csv"
_COLUMNS = (
    "finished",
    "name",
    "base",
    "epochs",
    "seed",
    "train",
    "tune",
    "test",
    "data",
    "minutes",
    "set",
    "label_micro_f1",
    "label_macro_f1",
    "label_sentiment_micro_f1",
    "area_micro_f1",
    "sentiment_accuracy",
    "signal_micro_f1",
    "evidence_character_f1",
    "coarse_micro_f1",
)


def train(path: Path, *, data_dir: Path, restart: bool = False) -> Path:
    """Run the file at `path` to its end and return the folder of the model.

    Checkpoints, log and weights stay in `<data dir>/runs/<name>`; a run that was interrupted goes
    on from there. Raises `EcholotError` for whatever the user can mend.
    """
    run, folder = load_run(path), path.parent
    check_files(run, file=path)
    work = data_dir / "runs" / run.name
    work.mkdir(parents=True, exist_ok=True)
    log_file = logging.FileHandler(work / "run.log", encoding="utf-8")
    log_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(log_file)
    started = time.monotonic()
    try:
        taxonomy = read_taxonomy(run, folder=folder)
        if run.routing:  # a mistake there should be known before an hour goes by
            router_for(taxonomy, path=folder / run.routing)
        teachers = [
            Teacher(resolve(name, data_dir=data_dir), taxonomy=taxonomy)
            for name in (run.teacher.models if run.teacher else ())
        ]
        data = read_data(run, folder=folder, taxonomy=taxonomy)
        encoder = prepare_encoder(run, folder=folder, cache=data_dir)
        if restart:
            (work / CHECKPOINT).unlink(missing_ok=True)
        learner = fit(
            run,
            data=data,
            encoder=encoder,
            taxonomy=taxonomy,
            work=work,
            start=_start(run, folder=folder, encoder=encoder),
            teachers=teachers,
        )
        built, report = build(
            run,
            learner=learner,
            data=data,
            tokenizer=encoder / "tokenizer.json",
            taxonomy=taxonomy,
            folder=folder,
            work=work,
        )
        manifest = json.loads((built / "manifest.json").read_text("utf-8"))
        model = publish(built, models=data_dir / "models", name=run.name, manifest=manifest)
        minutes = (time.monotonic() - started) / 60
        _record(folder / RUNS_TABLE, run, data=data, report=report, minutes=minutes)
    finally:
        logging.getLogger().removeHandler(log_file)
        log_file.close()
    return model


def _start(run: RunConfig, *, folder: Path, encoder: Path) -> Path | None:
    if run.start_model is not None:
        return encoder / WEIGHTS
    return folder / run.start if run.start else None


def fit(
    run: RunConfig,
    *,
    data: Data,
    encoder: Path,
    taxonomy: Taxonomy,
    work: Path,
    start: Path | None = None,
    teachers: Sequence[Teacher] = (),
) -> Learner:
    """Fine-tune, from the weights in `start` if given, and leave the weights in `work`.

    `teachers` are those of a run that has a `[teacher]`.
    """
    tokenizer = load_tokenizer(encoder)
    learner = build_learner(run, encoder=encoder, tokenizer=tokenizer, taxonomy=taxonomy)
    if start is not None:
        take_over(learner, start, encoder=encoder)
    featurizer = Featurizer(tokenizer, taxonomy, max_tokens=run.max_tokens)
    parts, shares = list(data.train), [source.share for source in run.train]
    if run.teacher is not None:
        parts.append(data.unlabelled)
        shares.append(run.teacher.draw)
    lessons = teach(teachers, parts) if teachers else [None] * len(parts)
    rng = np.random.default_rng(run.seed)
    hasty = [[slipped(example, rng) for example in part] for part in parts]
    Trainer(
        run,
        learner=learner,
        featurizer=featurizer,
        train=[featurizer.features(*part) for part in zip(parts, lessons, strict=True)],
        slipped=[featurizer.features(*part) for part in zip(hasty, lessons, strict=True)],
        shares=shares,
        folder=work,
    ).fit()
    save_weights(learner, work, encoder=encoder)
    return learner


def build(
    run: RunConfig,
    *,
    learner: Learner,
    data: Data,
    tokenizer: Path,
    taxonomy: Taxonomy,
    folder: Path,
    work: Path,
) -> tuple[Path, Report | None]:
    """Export, calibrate and judge; return the finished artefact's folder and the report."""
    built = work / "artifact"
    shutil.rmtree(built, ignore_errors=True)
    train_examples = list(chain(*data.train))
    parity = export(
        learner,
        built,
        tokenizer=tokenizer,
        taxonomy=taxonomy,
        taxonomy_file=folder / run.taxonomy,
        texts=[clean(example.text).text for example in train_examples],
        max_tokens=run.max_tokens,
    )
    data_facts: dict[str, Any] = {
        "fingerprint": data.fingerprint(),
        "train": [
            {"path": source.path, "mapping": source.mapping, "examples": len(part)}
            for source, part in zip(run.train, data.train, strict=True)
        ],
        "unlabelled": len(data.unlabelled),
        "tune": len(data.tune),
        "test": len(data.test),
    }
    manifest = manifest_of(
        run,
        taxonomy=taxonomy,
        encoder=described(learner.network.encoder),
        calibration=Calibration(),
        data=data_facts,
        parity=parity,
        metrics={},
    )
    write_artifact(built, manifest)
    calibration = calibrate(built, manifest, run=run, tune=data.tune, taxonomy=taxonomy)
    manifest["calibration"] = calibration.to_manifest()
    write_artifact(built, manifest)
    report = None
    if data.test:
        classifier = Classifier.load(built, taxonomy=taxonomy)
        report = evaluate(
            classifier,
            train=train_examples,
            test=data.test,
            taxonomy=taxonomy,
            router=router_for(taxonomy, path=folder / run.routing if run.routing else None),
            must_route=data.must_route,
            behaviour=[
                pair
                for file in run.behaviour
                for pair in read_pairs(folder / file, taxonomy=taxonomy)
            ],
        )
        manifest["metrics"] = report.figures()
        write_artifact(built, manifest)
    text = report.markdown() if report else "No test data was given.\n"
    write_card(built, manifest=manifest, report=text)
    return built, report


def calibrate(
    built: Path,
    manifest: dict[str, Any],
    *,
    run: RunConfig,
    tune: list[Example],
    taxonomy: Taxonomy,
) -> Calibration:
    """Return the calibration of the exported graph as it will serve; without data, none."""
    if not tune:
        log.warning("nothing to tune on: probabilities are not calibrated, thresholds are .5")
        return Calibration()
    logits = Classifier.load(built, taxonomy=taxonomy).logits(comments_of(tune))
    calibration = fit_calibration(logits, tune, taxonomy=taxonomy, miss_costs=run.miss_costs)
    if not any(note.evidence for example in tune for note in example.labels.values()):
        return calibration

    def score(choice: Calibration) -> float:
        write_artifact(built, {**manifest, "calibration": choice.to_manifest()})
        classifier = Classifier.load(built, taxonomy=taxonomy)
        return evidence_score(classifier.classify, tune, taxonomy=taxonomy)

    return fit_evidence(calibration, score)


def _record(
    path: Path, run: RunConfig, *, data: Data, report: Report | None, minutes: float
) -> None:
    """Add a line for each test set to the table of runs, which lies beside the run file."""
    fresh = not path.exists()
    base = {
        "finished": datetime.now(UTC).isoformat(timespec="minutes"),
        "name": run.name,
        "base": run.base or run.start_model,
        "epochs": run.epochs,
        "seed": run.seed,
        "train": sum(len(part) for part in data.train),
        "tune": len(data.tune),
        "test": len(data.test),
        "data": data.fingerprint(),
        "minutes": round(minutes, 1),
    }
    figures = report.figures() if report else {"": {MODEL: {}}}
    with path.open("a", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, _COLUMNS, extrasaction="ignore")
        if fresh:
            table.writeheader()
        for name, scorers in figures.items():
            table.writerow({**scorers[MODEL], **base, "set": name})
