"""What the tests of training share: a tiny project, what comes of training on it, its graphs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from model.taxonomy import Taxonomy
from model.text import clean
from tests.training.tiny import comments, write_project
from training.config import RunConfig, load_run
from training.encoder import load_tokenizer
from training.export import float_graph, row_table
from training.finetune import Learner
from training.prepare import Data, prepare_encoder, read_data, read_taxonomy
from training.quantize import quantize
from training.run import fit, train


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)  # threads wait for each other on a busy machine


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """Return the run file of a tiny project; tests leave its folder as it is."""
    return write_project(tmp_path_factory.mktemp("project"))


@dataclass(frozen=True)
class Parts:
    """A run with all that it starts from."""

    run: RunConfig
    taxonomy: Taxonomy
    data: Data
    encoder: Path


def parts_of(run_file: Path, cache: Path) -> Parts:
    run, folder = load_run(run_file), run_file.parent
    taxonomy = read_taxonomy(run, folder=folder)
    data = read_data(run, folder=folder, taxonomy=taxonomy)
    return Parts(run, taxonomy, data, prepare_encoder(run, folder=folder, cache=cache))


@pytest.fixture(scope="session")
def parts(project, tmp_path_factory) -> Parts:
    return parts_of(project, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def learner(parts, tmp_path_factory) -> Learner:
    return fit(
        parts.run,
        data=parts.data,
        encoder=parts.encoder,
        taxonomy=parts.taxonomy,
        work=tmp_path_factory.mktemp("work"),
    )


DISTILL = """
name = "hotel-small"
base = "encoder"
taxonomy = "labels.toml"
epochs = 8
batch_comments = 16
max_tokens = 64
learning_rate = 2e-3
head_learning_rate = 5e-3
word_embeddings = "tuned"
threads = 1
layers = 1
start = "data/runs/hotel-1/weights.safetensors"
[teacher]
models = ["hotel-1"]
texts = ["more.jsonl"]
draw = 0.5
weight = 0.7
[[train]]
path = "train.jsonl"
[[tune]]
path = "tune.jsonl"
[[test]]
path = "test.jsonl"
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """Return a folder with a trained tiny model, and a run file to distil it."""
    folder = tmp_path_factory.mktemp("site")
    train(write_project(folder, epochs=20), data_dir=folder / "data")
    more = [{"text": row["text"]} for row in comments(400)[240:]]
    held_out = json.loads((folder / "test.jsonl").read_text("utf-8").splitlines()[0])
    lines = [*more, {"text": held_out["text"]}, {"text": "  "}]
    (folder / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines), "utf-8")
    (folder / "distill.toml").write_text(DISTILL, "utf-8")
    return folder


@dataclass(frozen=True)
class Graphs:
    """The trained tiny network as ONNX, in float32 and in int8, with the inputs that judge rows."""

    plain: ModelProto
    int8: ModelProto
    rows: dict
    texts: list


@pytest.fixture(scope="session")
def graphs(parts, learner) -> Graphs:
    table = row_table(learner, parts.taxonomy)
    rows = {"queries": table.queries, "own": table.own, "bias": table.bias}
    tokenizer = load_tokenizer(parts.encoder)
    examples = [example for part in parts.data.train for example in part]
    ids = [e.ids for e in tokenizer.encode_batch([clean(x.text).text for x in examples])]
    plain = float_graph(learner)
    return Graphs(plain, quantize(plain, (inputs([row], rows) for row in ids[:60])), rows, ids)


def inputs(batch, rows):
    """Return the inputs of a graph for token ids, padded to the longest."""
    width = max(map(len, batch))
    padded = [[*ids, *[1] * (width - len(ids))] for ids in batch]
    mask = [[1] * len(ids) + [0] * (width - len(ids)) for ids in batch]
    return {"input_ids": np.array(padded), "attention_mask": np.array(mask), **rows}
