"""A tiny model with random weights: enough for whatever does not depend on what it learnt."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from model.artifact import read_manifest, write_artifact
from model.calibration import Calibration
from model.classifier import Classifier


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of an exported model of the tiny hotel: three labels and a signal."""
    import torch

    from model.taxonomy import load_taxonomy
    from tests.training.tiny import comments, write_project
    from training.config import load_run
    from training.encoder import load_tokenizer
    from training.export import export
    from training.finetune import build_learner

    project = tmp_path_factory.mktemp("hotel")
    run = load_run(write_project(project, count=60))
    taxonomy = load_taxonomy(project / "labels.toml")
    encoder = project / "encoder"
    learner = build_learner(
        run, encoder=encoder, tokenizer=load_tokenizer(encoder), taxonomy=taxonomy
    )
    with torch.no_grad():  # fresh rows all say the same
        for parameter in (learner.rows.own, learner.rows.shared, learner.rows.difference):
            parameter.normal_(0, 0.5)
    folder = project / "model"
    export(
        learner,
        folder,
        tokenizer=encoder / "tokenizer.json",
        taxonomy=taxonomy,
        taxonomy_file=project / "labels.toml",
        texts=[comment["text"] for comment in comments(60)],
        max_tokens=run.max_tokens,
    )
    write_artifact(
        folder,
        {
            "name": "hotel-1",
            "created": "2026-01-31",
            "languages": ["de", "en"],
            "max_tokens": run.max_tokens,
            "taxonomy": {
                "fingerprint": taxonomy.fingerprint(),
                "terms": taxonomy.term_fingerprints(),
            },
            "calibration": Calibration().to_manifest(),
        },
    )
    return folder


@pytest.fixture
def copied(tiny: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny model to spoil."""
    return Path(shutil.copytree(tiny, tmp_path / "model"))


@pytest.fixture
def calibrated(copied: Path) -> Callable[..., Path]:
    """Return a function that gives the copy another calibration."""

    def change(**changes: Any) -> Path:
        manifest = read_manifest(copied)
        manifest["calibration"] |= changes
        write_artifact(copied, manifest)
        return copied

    return change


@pytest.fixture(scope="session")
def classifier(tiny: Path) -> Classifier:
    return Classifier.load(tiny, threads=1)
