"""A finished model as the beginning of a run: its encoder, tokenizer and weights out of its files.

Weights are those of the quantised graph, brought back to floating point: its answers, not those of
the training run that it came of. No base encoder and no text for a vocabulary is needed for it.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import GraphProto, NodeProto, numpy_helper
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig

from model.artifact import RowTable, read_artifact
from model.engine import Engine
from model.errors import ConfigError
from model.taxonomy import load_taxonomy
from training.finetune import row_texts
from training.fuse import PRODUCT
from training.weights import WEIGHTS, write_weights

ENCODER = "encoder"  # key of the manifest: the encoder's configuration
_NOT_KEPT = ("_name_or_path", "architectures", "dtype", "transformers_version")
_PREFIX = "encoder."  # of the encoder's weights in the network
# Products without a bias, which would name them, in the order in which the network makes them.
_NAMELESS = ("offer", "matched", "offer_evidence")
_STEPS, _WEIGHT, _WEIGHT_SCALE, _BIAS = 0, 1, 3, 6  # inputs of a product's node
Array = npt.NDArray[np.float32]


def described(encoder: Any) -> dict[str, Any]:
    """Return what a manifest keeps of an encoder's configuration: all but the defaults."""
    config: PreTrainedConfig = encoder.config
    kept = {**config.to_diff_dict(), "model_type": config.model_type}
    return {key: value for key, value in kept.items() if key not in _NOT_KEPT}


def unpack_model(folder: Path, *, cache: Path) -> Path:
    """Return a folder with the model's encoder in the usual form, and `weights.safetensors`.

    It is kept in `cache`. Raises `ArtifactError` for a folder that holds no model, `ConfigError`
    for a model that no run can go on from.
    """
    artifact = read_artifact(folder)
    if ENCODER not in artifact.manifest:
        raise ConfigError(
            f"start = {str(folder)!r}: the model does not tell its encoder's configuration "
            f"({ENCODER!r} in manifest.json), so no run can go on from it; name the weights of the "
            "run that it came of"
        )
    files = artifact.manifest["files"]
    digest = hashlib.sha256("".join(files[name]["sha256"] for name in sorted(files)).encode())
    target = cache / "encoders" / f"{artifact.name}-{digest.hexdigest()[:12]}"
    if (target / WEIGHTS).is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    network = _network(onnx.load(folder / "model.onnx").graph, folder=folder)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        built = Path(scratch) / "encoder"
        built.mkdir()
        shutil.copy(folder / "tokenizer.json", built)
        config = dict(artifact.manifest[ENCODER])
        AutoConfig.for_model(config.pop("model_type"), **config).save_pretrained(built)
        encoder = {
            key.removeprefix(_PREFIX): value
            for key, value in network.items()
            if key.startswith(_PREFIX)
        }
        save_file(encoder, built / "model.safetensors", metadata={"format": "pt"})
        rows = _rows(artifact.rows, folder=folder, max_tokens=artifact.manifest["max_tokens"])
        tensors = {f"network.{key}": value for key, value in network.items()}
        tensors.update({f"rows.{key}": torch.from_numpy(value) for key, value in rows.items()})
        write_weights(tensors, built, ids=artifact.rows.ids, encoder=built)
        shutil.rmtree(target, ignore_errors=True)
        built.rename(target)
    return target


def _network(graph: GraphProto, *, folder: Path) -> dict[str, Tensor]:
    """Return the network's weights by their names in torch."""
    stored = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, Array] = {}
    nameless = iter(_NAMELESS)
    for node in graph.node:
        if node.op_type == PRODUCT:
            name = _name(node) or next(nameless, None)
            if name is None:
                raise ConfigError(f"start = {str(folder)!r}: it has products of no known use")
            found[f"{name}.weight"] = _product_weight(node, stored)
    if next(nameless, None) is not None:
        raise ConfigError(
            f"start = {str(folder)!r}: its graph is not that of label attention as it is built "
            "now; train the model again"
        )
    values = {name: numpy_helper.to_array(tensor) for name, tensor in stored.items()}
    for name, value in values.items():
        if name.endswith(".weight_int8"):  # word, position and type vectors: a scale each row
            key = name.removesuffix("_int8")
            halved = f"{key}_scale_half"
            scale = values[halved] if halved in values else values[f"{key}_scale"]
            found[key] = value.astype(np.float32) * scale.astype(np.float32)
        elif name.endswith(".weight_half"):
            found[name.removesuffix("_half")] = value.astype(np.float32)
        elif name.endswith((".weight", ".bias")):
            found[name] = value.astype(np.float32)
    return {key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in found.items()}


def _name(node: NodeProto) -> str | None:
    """Return which part of the network a product belongs to, by the name of its bias."""
    return node.input[_BIAS].removesuffix(".bias") if len(node.input) > _BIAS else None


def _product_weight(node: NodeProto, stored: Mapping[str, Any]) -> Array:
    """Return a product's weight [out, in] in floating point, before channels were smoothed."""
    steps = numpy_helper.to_array(stored[node.input[_WEIGHT]]).astype(np.float32)
    scale = numpy_helper.to_array(stored[node.input[_WEIGHT_SCALE]]).astype(np.float32)
    factor = numpy_helper.to_array(
        stored[node.input[_STEPS].removesuffix("_steps") + "_factor"]
    ).astype(np.float32)
    return np.asarray((steps * scale * factor[:, None]).T, dtype=np.float32)


def _rows(table: RowTable, *, folder: Path, max_tokens: int) -> dict[str, Array]:
    """Return the state of `Rows` that gives the table's queries, own parts and biases."""
    kinds, texts = row_texts(load_taxonomy(folder / "labels.toml"))
    engine = Engine.load(
        folder / "model.onnx", folder / "tokenizer.json", table, max_tokens=max_tokens
    )
    encoded = engine.describe(texts)
    kind = np.array([("label", "signal", "comment").index(name) for name in kinds])
    return {
        "kind": kind,
        "described": encoded - table.centre,
        "centre": table.centre,
        "image.weight": table.image,
        "image.bias": table.image_bias,
        "image_norm.weight": table.norm,
        "image_norm.bias": table.norm_bias,
        "difference": table.queries - np.stack([table.query_of(vector) for vector in encoded]),
        "shared": table.shared,
        "shared_bias": table.shared_bias,
        "own": table.own - table.shared[kind],
        "own_bias": table.bias - table.shared_bias[kind],
    }
