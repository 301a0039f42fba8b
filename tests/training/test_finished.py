"""A run goes on from a finished model: from what is in its folder, with no base encoder at hand."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from model.classifier import Classifier
from model.errors import ArtifactError, ConfigError
from model.records import Comment
from model.registry import shipped_folder
from model.taxonomy import load_taxonomy
from training.config import load_run
from training.encoder import load_tokenizer
from training.export import row_table
from training.finetune import build_learner
from training.finished import ENCODER, unpack_model
from training.prepare import read_taxonomy
from training.run import train
from training.weights import WEIGHTS, take_over

RUN = """
name = "hotel-2"
start = "hotel-1"
taxonomy = "labels.toml"
epochs = 1
batch_comments = 16
max_tokens = 64
learning_rate = {rate}
head_learning_rate = {rate}
threads = 1
[[train]]
path = "train.jsonl"
[[tune]]
path = "tune.jsonl"
[[test]]
path = "test.jsonl"
"""
TEXTS = [
    "Das Zimmer war dreckig",
    "great breakfast, but noisy",
    "Kakerlaken im Bad",
    "himmlisch ruhig",
]


@pytest.fixture
def place(site, tmp_path) -> Path:
    """Return a folder with the data, a run file and a copy of the finished model; no encoder."""
    for name in ("train.jsonl", "tune.jsonl", "test.jsonl", "labels.toml"):
        shutil.copy(site / name, tmp_path)
    shutil.copytree(site / "data" / "models" / "hotel-1", tmp_path / "data" / "models" / "hotel-1")
    (tmp_path / "run.toml").write_text(RUN.format(rate=1e-12), "utf-8")
    return tmp_path


def model_in(place: Path) -> Path:
    return place / "data" / "models" / "hotel-1"


def probabilities(folder: Path) -> np.ndarray:
    classifier = Classifier.load(folder, taxonomy=load_taxonomy(folder / "labels.toml"))
    logits = classifier.logits([Comment(id=str(n), text=t) for n, t in enumerate(TEXTS)])
    logits = logits[:, : len(classifier.taxonomy.labels)]
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return raised / raised.sum(-1, keepdims=True)


def test_an_unpacked_model_answers_as_the_model_does(place):
    encoder = unpack_model(model_in(place), cache=place / "cache")
    run = load_run(place / "run.toml")
    taxonomy = read_taxonomy(run, folder=place)
    tokenizer = load_tokenizer(encoder)
    learner = build_learner(run, encoder=encoder, tokenizer=tokenizer, taxonomy=taxonomy)
    take_over(learner, encoder / WEIGHTS, encoder=encoder)
    learner.network.eval()
    learner.rows.eval()
    ids = [torch.tensor([encoding.ids]) for encoding in tokenizer.encode_batch(TEXTS)]
    with torch.no_grad():
        rows = learner.rows()
        found = [learner.network(i, torch.ones_like(i), *rows)[0][0] for i in ids]
    labels = torch.softmax(torch.stack(found), -1).numpy()[:, : len(taxonomy.labels)]
    assert np.abs(labels - probabilities(model_in(place))).max() < 0.05
    table = row_table(learner, taxonomy)
    assert table.ids == ("room.clean", "room.noise", "food.breakfast", "signal:pest", "comment")
    assert unpack_model(model_in(place), cache=place / "cache") == encoder


def test_a_run_that_hardly_moves_ends_as_the_model_it_began_with(place):
    folder = train(place / "run.toml", data_dir=place / "data")
    assert np.abs(probabilities(folder) - probabilities(model_in(place))).max() < 0.1
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    before = json.loads((model_in(place) / "manifest.json").read_text("utf-8"))
    assert manifest[ENCODER] == before[ENCODER]
    assert "going on from the model `hotel-1`" in (folder / "MODEL_CARD.md").read_text("utf-8")


def test_base_and_vocabulary_belong_to_the_model(place):
    for line in ('base = "encoder"', "vocabulary = { size = 500 }"):
        file = place / "wrong.toml"
        file.write_text(f"{line}\n{RUN.format(rate=1e-3)}", "utf-8")
        with pytest.raises(ConfigError, match="is a finished model, which has its own; leave") as e:
            load_run(file)
        assert str(e.value).endswith(f"leave {line.split()[0]} out")


def test_a_run_without_base_and_start_says_what_is_missing(place):
    file = place / "wrong.toml"
    file.write_text(RUN.format(rate=1e-3).replace('start = "hotel-1"\n', ""), "utf-8")
    with pytest.raises(ConfigError, match="key 'base' is missing; for example base = "):
        load_run(file)


def test_a_start_that_is_no_model_is_said_with_those_at_hand(place):
    text = RUN.format(rate=1e-3).replace('"hotel-1"', '"hotel-0"')
    (place / "run.toml").write_text(text, "utf-8")
    with pytest.raises(ArtifactError, match=r"no model or model folder 'hotel-0'.*hotel-1"):
        train(place / "run.toml", data_dir=place / "data")


def test_a_model_that_does_not_tell_its_encoder_is_refused(place):
    file = model_in(place) / "manifest.json"
    manifest = json.loads(file.read_text("utf-8"))
    del manifest[ENCODER]
    file.write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(ConfigError, match="does not tell its encoder's configuration"):
        unpack_model(model_in(place), cache=place / "cache")


@pytest.mark.slow
def test_the_shipped_model_can_be_gone_on_from(tmp_path):
    encoder = unpack_model(shipped_folder(), cache=tmp_path)
    graph = onnx.load(shipped_folder() / "model.onnx").graph
    layers = {t.name.split(".")[3] for t in graph.initializer if ".layer." in t.name}
    config = json.loads((encoder / "config.json").read_text("utf-8"))
    assert config["num_hidden_layers"] == len(layers)
    assert load_tokenizer(encoder).get_vocab_size() == config["vocab_size"]
