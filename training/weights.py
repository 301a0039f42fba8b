"""The weights that a run leaves, and a later one begins with: all of them, or some layers."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from model.errors import ConfigError
from training.finetune import Learner
from training.layers import even_layers

log = logging.getLogger(__name__)
WEIGHTS = "weights.safetensors"
_VOCABULARY = "vocabulary"  # key of the digest that the weights carry
_ROWS = "rows"  # key of the ids of the rows, in order
_OF_A_ROW = ("difference", "own", "own_bias")
_LAYER = re.compile(r"(\.layers?\.)(\d+)(\.)")


def save_weights(learner: Learner, folder: Path, *, encoder: Path) -> None:
    """Write the learner's weights, with what tells their vocabulary and rows, to `folder`."""
    tensors = {
        f"{part}.{key}": value.contiguous()
        for part, values in learner.state().items()
        for key, value in values.items()
    }
    write_weights(tensors, folder, ids=learner.ids, encoder=encoder)


def write_weights(
    tensors: dict[str, Tensor], folder: Path, *, ids: Sequence[str], encoder: Path
) -> None:
    """Write named weights, and what tells the vocabulary of `encoder` and the rows' ids."""
    metadata = {_VOCABULARY: _vocabulary_digest(encoder), _ROWS: " ".join(ids)}
    save_file(tensors, folder / WEIGHTS, metadata=metadata)


def take_over(learner: Learner, start: Path, *, encoder: Path) -> None:
    """Load the weights that an earlier run left; base and vocabulary must be the same.

    Where that run had more layers, those that lie evenly among them are taken. A label or signal
    that it did not have begins without a part of its own, one that is gone is left out. Raises
    `ConfigError` for weights that do not fit.
    """
    try:
        with safe_open(start, framework="pt") as file:
            metadata = file.metadata() or {}
        if metadata.get(_VOCABULARY) != _vocabulary_digest(encoder):
            raise ConfigError(
                f"start = {str(start)!r}: is of another vocabulary, its rows would be taken for "
                "other pieces; name the same base and the same [vocabulary] as that run did"
            )
        tensors = load_file(start)
        wanted = learner.state()
        network = _of(tensors, "network")
        network = _fewer_layers(network, count=_layer_count(wanted["network"]))
        rows = _of(tensors, "rows")
        if _ROWS in metadata:
            rows = _by_id(rows, metadata[_ROWS].split(), learner)
        learner.restore({"network": network, "rows": rows})
        learner.describe()
    except (OSError, SafetensorError, RuntimeError, ValueError) as problem:
        raise ConfigError(
            f"start = {str(start)!r}: does not fit ({type(problem).__name__}); it must be the "
            f"{WEIGHTS} of a run with the same base and vocabulary, and as many layers or more"
        ) from None
    log.info("going on from the weights in %s", start.name)


def _of(tensors: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(f"{part}."): value
        for key, value in tensors.items()
        if key.startswith(f"{part}.")
    }


def _by_id(rows: dict[str, Tensor], ids: Sequence[str], learner: Learner) -> dict[str, Tensor]:
    """Return the rows in the learner's order; what it has for itself stays where none is found."""
    wanted = learner.state()["rows"]
    place = {row: n for n, row in enumerate(ids)}
    found = {key: value for key, value in rows.items() if wanted[key].shape == value.shape}
    for key in (*_OF_A_ROW, "described", "kind"):
        found[key] = wanted[key].clone()
    for key in _OF_A_ROW:
        for n, row in enumerate(learner.ids):
            if row in place:
                found[key][n] = rows[key][place[row]]
    return found


def _layer_count(keys: Sequence[str] | dict[str, Tensor]) -> int:
    numbers = [int(match[2]) for key in keys if (match := _LAYER.search(key))]
    return max(numbers, default=-1) + 1


def _fewer_layers(network: dict[str, Tensor], *, count: int) -> dict[str, Tensor]:
    total = _layer_count(network)
    if total == count:
        return network
    place = {layer: n for n, layer in enumerate(even_layers(total, count))}
    found = {}
    for key, value in network.items():
        match = _LAYER.search(key)
        if match is None:
            found[key] = value
        elif int(match[2]) in place:
            found[_LAYER.sub(rf"\g<1>{place[int(match[2])]}\g<3>", key, count=1)] = value
    return found


def _vocabulary_digest(encoder: Path) -> str:
    """Return what tells one cut vocabulary from another: two may be alike in size alone."""
    return hashlib.sha256((encoder / "tokenizer.json").read_bytes()).hexdigest()
