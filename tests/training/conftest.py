"""What the tests of training share: a tiny project, what comes of training on it, its graphs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import ModelProto

from model.taxonomy import Taxonomy
from model.text import clean
from tests.training.tiny import write_project
from training.config import RunConfig, load_run
from training.encoder import load_tokenizer
from training.export import float_graph, row_table
from training.finetune import Learner
from training.prepare import Data, prepare_encoder, read_data, read_taxonomy
from training.quantize import quantize
from training.run import fit


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
