"""Turn a trained learner into the files of an artefact, and prove that they answer alike."""

from __future__ import annotations

import json
import logging
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import ModelProto
from tokenizers import Tokenizer

from model.artifact import RowTable, write_rows
from model.engine import Engine
from model.errors import ArtifactError
from model.taxonomy import Taxonomy
from training.encoder import load_tokenizer
from training.finetune import Learner, row_ids
from training.fuse import fuse
from training.quantize import quantize

log = logging.getLogger(__name__)
OPSET = 20  # has Gelu and LayerNormalization; the newest onnx writes opsets that engines refuse
IR_VERSION = 10
CALIBRATION_TEXTS = 300
PARITY_TEXTS = 100
FLOAT_PARITY = 1e-3  # greatest difference of a logit between torch and the float graph
INPUTS = ("input_ids", "attention_mask", "queries", "own", "bias")
OUTPUTS = ("logits", "evidence", "pooled")
Array = npt.NDArray[np.float32]


def export(
    learner: Learner,
    folder: Path,
    *,
    tokenizer: Path,
    taxonomy: Taxonomy,
    taxonomy_file: Path,
    texts: Sequence[str],
    max_tokens: int,
) -> dict[str, float]:
    """Write the files of an artefact but its manifest; return how alike graph and torch answer.

    `texts` are cleaned training texts, at least one; ranges of activations come from some of them,
    the comparison is made on others. Raises `ArtifactError` where the float graph does not answer
    as torch does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    learner.network.to("cpu").eval()
    learner.rows.to("cpu").eval()
    rows = row_table(learner, taxonomy)
    write_rows(folder / "labels.npz", rows)
    written = json.loads(tokenizer.read_text("utf-8"))
    # Without spaces it is a twentieth smaller, which the shipped model needs to stay small.
    (folder / "tokenizer.json").write_text(
        json.dumps(written, ensure_ascii=False, separators=(",", ":")), encoding="utf-8"
    )
    shutil.copy(taxonomy_file, folder / "labels.toml")
    plain = load_tokenizer(folder)
    encoded = [e.ids[:max_tokens] for e in plain.encode_batch(list(texts))]
    order = np.random.default_rng(0).permutation(len(encoded)).tolist()
    chosen = [encoded[i] for i in order[:CALIBRATION_TEXTS]]
    others = [texts[i] for i in order[CALIBRATION_TEXTS:][:PARITY_TEXTS]] or list(texts)
    graph = float_graph(learner)
    quantized = fuse(quantize(graph, (_inputs(ids, rows) for ids in chosen)))
    float_file = folder / "float.onnx"
    onnx.save(graph, float_file)
    onnx.save(quantized, folder / "model.onnx")
    engines = {
        name: Engine.load(folder / name, folder / "tokenizer.json", rows, max_tokens=max_tokens)
        for name in ("float.onnx", "model.onnx")
    }
    parity = _parity(learner, engines, others, plain, max_tokens=max_tokens)
    float_file.unlink()
    log.info("parity with torch: %s", parity)
    if parity["float_logit_max"] > FLOAT_PARITY:
        raise ArtifactError(
            f"{folder}: the exported graph differs from torch by {parity['float_logit_max']:.4f} "
            f"in a logit, more than {FLOAT_PARITY}; the versions of torch and onnx do not fit"
        )
    return parity


def row_table(learner: Learner, taxonomy: Taxonomy) -> RowTable:
    """Return what belongs to the rows, as plain arrays in the precision that is stored."""
    with torch.no_grad():
        queries, own, bias = learner.rows()
    rows = learner.rows
    ids = row_ids(taxonomy)
    arrays = {
        "queries": queries,
        "own": own,
        "bias": bias,
        "shared": rows.shared,
        "shared_bias": rows.shared_bias,
        "centre": rows.centre,
        "image": rows.image.weight,
        "image_bias": rows.image.bias,
        "norm": rows.image_norm.weight,
        "norm_bias": rows.image_norm.bias,
    }
    halved = {
        key: value.detach().numpy().astype(np.float16).astype(np.float32)
        for key, value in arrays.items()
    }
    return RowTable(ids=tuple(ids), **halved)


def float_graph(learner: Learner) -> ModelProto:
    """Return the network as an ONNX graph in float32, open in comments, tokens and rows."""
    with torch.no_grad():
        queries, own, bias = learner.rows()
    ids = torch.ones((3, 11), dtype=torch.long)
    sizes = {
        "comments": torch.export.Dim("comments", min=1, max=65536),
        "tokens": torch.export.Dim("tokens", min=2, max=512),
        "rows": torch.export.Dim("rows", min=2, max=65536),
    }
    by_token = {0: sizes["comments"], 1: sizes["tokens"]}
    by_row = {0: sizes["rows"]}
    with warnings.catch_warnings():
        # The exporter warns of its own internals and of axes that share a name on purpose.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            learner.network,
            (ids, torch.ones_like(ids), queries, own, bias),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(INPUTS),
            output_names=list(OUTPUTS),
            dynamic_shapes=dict(
                zip(INPUTS, (by_token, by_token, by_row, by_row, by_row), strict=True)
            ),
            verbose=False,
        )
    if program is None:
        raise ArtifactError(
            "torch could not export the network; install the versions of constraints.txt"
        )
    graph = program.model_proto
    graph.ir_version = IR_VERSION
    for node in graph.graph.node:
        del node.metadata_props[:]  # stack traces, with the paths of the machine that exported
        node.doc_string = ""
    return graph


def _inputs(ids: list[int], rows: RowTable) -> dict[str, npt.NDArray[np.generic]]:
    tokens = np.array([ids], dtype=np.int64)
    return {
        "input_ids": tokens,
        "attention_mask": np.ones_like(tokens),
        "queries": rows.queries,
        "own": rows.own,
        "bias": rows.bias,
    }


def _parity(
    learner: Learner,
    engines: dict[str, Engine],
    texts: Sequence[str],
    tokenizer: Tokenizer,
    *,
    max_tokens: int,
) -> dict[str, float]:
    """Return how far the graphs are from torch on each text's first window, alone in torch."""
    stored = engines["model.onnx"].rows
    with torch.no_grad():
        parts = [torch.from_numpy(part) for part in (stored.queries, stored.own, stored.bias)]
        torch_logits = []
        for text in texts:
            pieces = tokenizer.encode(text).ids
            ids = torch.tensor([[*pieces[:-1][: max_tokens - 1], pieces[-1]]])
            torch_logits.append(learner.network(ids, torch.ones_like(ids), *parts)[0][0].numpy())
    expected = np.stack(torch_logits)
    found = {
        name: np.stack([windows[0].logits for windows in engine.windows(texts)])
        for name, engine in engines.items()
    }
    of_float = np.abs(found["float.onnx"] - expected)
    odds = {name: _presence(values) for name, values in [*found.items(), ("torch", expected)]}
    change = np.abs(odds["model.onnx"] - odds["torch"])
    return {
        "float_logit_max": round(float(of_float.max()), 6),
        "int8_probability_mean": round(float(change.mean()), 5),
        "int8_probability_max": round(float(change.max()), 4),
        "int8_decisions_changed": round(
            float(((odds["model.onnx"] > 0.5) != (odds["torch"] > 0.5)).mean()), 5
        ),
    }


def _presence(logits: Array) -> Array:
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(1 - raised[..., 0] / raised.sum(-1))
