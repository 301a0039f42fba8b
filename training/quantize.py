"""Quantise an exported graph to int8 so that no answer depends on the batch it came in.

Matrix products with a weight take eight-bit inputs with *static* scales: one for the whole tensor,
found on calibration texts, never from the batch at hand. What makes static scales good enough:

- Outlier channels are smoothed into the weights first (SmoothQuant, Xiao et al. 2023,
  arXiv:2211.10438): inputs are divided, weight rows multiplied, by a factor a channel.
- The clipping range of each input is the one with the smallest squared error on these texts.
- Weights are symmetric with one scale a column; word vectors have one a row.

The result is the standard quantise-dequantise form of ONNX.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Inputs = Mapping[str, npt.NDArray[np.generic]]

# Chosen by the mean change of a probability on 250 comments of tune: .0021 with these, .0065 with a
# smoothing of .5 and clipping down to .3, .0015 with scales a token (a third slower).
SMOOTHING = 0.85  # how far difficulty moves from inputs (0) to weights (1)
CLIPS = (1.0, 0.95, 0.9, 0.85, 0.8)  # shares of the full range to try
MAX_ROWS = 6000  # token states kept per tensor for choosing its range
HALVED = 20_000  # weights left in float are stored in half precision from this size on
SMALLEST = 16  # products with fewer input or output channels stay in float32
_QMAX = 255


@dataclass(frozen=True, slots=True)
class Steps:
    """How an input [rows, channels] is quantised: divided by `factor`, then in steps of `scale`."""

    factor: Array
    scale: np.float32
    zero: np.uint8


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product with a constant weight [in, out]."""

    node: NodeProto
    weight: str


def quantize(model: ModelProto, samples: Iterable[Inputs]) -> ModelProto:
    """Return a quantised copy; `samples` are inputs of the graph, one comment each."""
    graph_model = ModelProto()
    graph_model.CopyFrom(model)
    graph = graph_model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    products = _products(graph_model, weights)
    by_input: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        by_input[product.node.input[0]].append(product)
    seen = _observe(graph_model, list(by_input), samples)
    nodes: dict[int, list[NodeProto]] = {}
    for number, (name, group) in enumerate(by_input.items()):
        prefix = f"quantized_{number}"
        arrays = [numpy_helper.to_array(weights[product.weight]) for product in group]
        steps = _choose(seen[name], np.concatenate(arrays, axis=1))
        before = _quantize_input(graph_model, name, prefix, steps)
        for product, array in zip(group, arrays, strict=True):
            weight = array * steps.factor[:, None]
            column = _quantize_weight(graph_model, product.weight, weight)
            before.append(column)
            product.node.input[0] = f"{prefix}_restored"
            product.node.input[1] = column.output[0]
        nodes[_first_use(graph_model, group)] = before
    _insert(graph_model, nodes)
    _quantize_embeddings(graph_model)
    _drop_unused(graph_model)
    _halve(graph_model)
    onnx.checker.check_model(graph_model)
    log.info("%d matrix products quantised over %d inputs", len(products), len(by_input))
    return graph_model


def _products(model: ModelProto, weights: Mapping[str, TensorProto]) -> list[Product]:
    """Return the products over token states; those over the rows' queries alone stay."""
    from_rows = _reached_from(model, {"queries", "own", "bias"}, stop_at={"input_ids"})
    found = []
    for node in model.graph.node:
        if node.op_type != "MatMul" or node.input[1] not in weights:
            continue
        shape = weights[node.input[1]].dims
        if len(shape) == 2 and min(shape) >= SMALLEST and node.input[0] not in from_rows:
            found.append(Product(node, node.input[1]))
    return found


def _reached_from(model: ModelProto, sources: set[str], *, stop_at: set[str]) -> set[str]:
    """Return the tensors that depend on `sources` alone (not on `stop_at`)."""
    tainted, reached = set(stop_at), set(sources)
    for node in model.graph.node:
        if any(name in tainted for name in node.input):
            tainted.update(node.output)
        elif any(name in reached for name in node.input):
            reached.update(node.output)
    return reached


def _observe(model: ModelProto, names: list[str], samples: Iterable[Inputs]) -> dict[str, Array]:
    """Run the float graph and return the values of tensors as [rows, channels]."""
    watched = ModelProto()
    watched.CopyFrom(model)
    present = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
        for name in names
        if name not in present
    )
    session = onnxruntime.InferenceSession(
        watched.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    kept: dict[str, list[Array]] = defaultdict(list)
    for sample in samples:
        for name, value in zip(names, session.run(names, dict(sample)), strict=True):
            kept[name].append(value.reshape(-1, value.shape[-1]))
    rng = np.random.default_rng(0)
    result = {}
    for name, parts in kept.items():
        rows = np.concatenate(parts)
        chosen = rng.permutation(len(rows))[:MAX_ROWS]
        result[name] = np.concatenate([rows[chosen], rows.max(0)[None], rows.min(0)[None]])
    return result


def _choose(values: Array, weight: Array) -> Steps:
    """Return how an input is quantised: outlier channels smoothed, then the best range."""
    of_input = np.maximum(np.abs(values).max(0), 1e-5)
    of_weight = np.maximum(np.abs(weight).max(1), 1e-5)
    factor = of_input**SMOOTHING / of_weight ** (1 - SMOOTHING)
    factor = np.asarray(factor / np.exp(np.log(factor).mean()), dtype=np.float32)
    return Steps(factor, *_range(values / factor))


def _range(values: Array) -> tuple[np.float32, np.uint8]:
    """Return scale and zero point of the clipping range with the smallest squared error."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    best = (np.inf, np.float32(1), np.uint8(0))
    for share_low in CLIPS if low < 0 else (1.0,):
        for share_high in CLIPS:
            bottom, top = low * share_low, high * share_high
            scale = np.float32(max((top - bottom) / _QMAX, 1e-8))
            zero = np.uint8(np.clip(round(-bottom / scale), 0, _QMAX))
            steps = np.clip(np.rint(values / scale) + zero, 0, _QMAX) - zero
            error = float(((steps * scale - values) ** 2).mean())
            if error < best[0]:
                best = (error, scale, zero)
    return best[1], best[2]


def _quantize_input(model: ModelProto, name: str, prefix: str, steps: Steps) -> list[NodeProto]:
    """Return the nodes that smooth, quantise and restore an input as `<prefix>_restored`."""
    constants: dict[str, npt.NDArray[np.generic]] = {
        "factor": 1 / steps.factor,
        "scale": np.array(steps.scale),
        "zero": np.array(steps.zero),
    }
    for key, value in constants.items():
        model.graph.initializer.append(numpy_helper.from_array(value, f"{prefix}_{key}"))
    step = [f"{prefix}_scale", f"{prefix}_zero"]
    return [
        helper.make_node("Mul", [name, f"{prefix}_factor"], [f"{prefix}_smooth"]),
        helper.make_node("QuantizeLinear", [f"{prefix}_smooth", *step], [f"{prefix}_steps"]),
        helper.make_node("DequantizeLinear", [f"{prefix}_steps", *step], [f"{prefix}_restored"]),
    ]


def _weight_steps(weight: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Return a weight [in, out] as int8, and the scale of each column."""
    scale = np.asarray(np.maximum(np.abs(weight).max(0), 1e-8) / 127, dtype=np.float32)
    return np.rint(weight / scale).clip(-127, 127).astype(np.int8), scale


def _quantize_weight(model: ModelProto, name: str, weight: Array) -> NodeProto:
    """Store a weight as int8 with one scale a column; return the node that restores it."""
    steps, scale = _weight_steps(weight)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(steps, f"{name}_int8"),
            numpy_helper.from_array(scale, f"{name}_scale"),
            numpy_helper.from_array(np.zeros(len(scale), dtype=np.int8), f"{name}_zero"),
        ]
    )
    inputs = [f"{name}_int8", f"{name}_scale", f"{name}_zero"]
    return helper.make_node("DequantizeLinear", inputs, [f"{name}_restored"], axis=1)


def _quantize_embeddings(model: ModelProto) -> None:
    """Store word vectors as int8, one scale a row; only rows that are looked up are restored."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    added: dict[int, list[NodeProto]] = {}
    for position, node in enumerate(model.graph.node):
        if node.op_type != "Gather" or node.input[0] not in weights:
            continue
        table = numpy_helper.to_array(weights[node.input[0]])
        if table.ndim != 2 or table.dtype != np.float32:
            continue
        name, ids, out = node.input[0], node.input[1], node.output[0]
        scale = np.maximum(np.abs(table).max(1, keepdims=True), 1e-8).astype(np.float32) / 127
        steps = np.rint(table / scale).clip(-127, 127).astype(np.int8)
        model.graph.initializer.append(numpy_helper.from_array(steps, f"{name}_int8"))
        model.graph.initializer.append(numpy_helper.from_array(scale, f"{name}_scale"))
        node.input[0] = f"{name}_int8"
        node.output[0] = f"{out}_int8"
        added[position + 1] = [
            helper.make_node("Cast", [f"{out}_int8"], [f"{out}_float"], to=TensorProto.FLOAT),
            helper.make_node("Gather", [f"{name}_scale", ids], [f"{out}_scale"]),
            helper.make_node("Mul", [f"{out}_float", f"{out}_scale"], [out]),
        ]
    _insert(model, added)


def _first_use(model: ModelProto, group: list[Product]) -> int:
    outputs = {product.node.output[0] for product in group}
    return next(i for i, node in enumerate(model.graph.node) if node.output[0] in outputs)


def _insert(model: ModelProto, added: Mapping[int, list[NodeProto]]) -> None:
    """Put nodes before the given positions, keeping the order in which values are made."""
    old = list(model.graph.node)
    ordered = [
        node
        for position in range(len(old) + 1)
        for node in [*added.get(position, []), *old[position : position + 1]]
    ]
    copies = []
    for node in ordered:
        copy = NodeProto()
        copy.CopyFrom(node)
        copies.append(copy)
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _halve(model: ModelProto) -> None:
    """Store large weights that stay in float in half precision; engines widen them on loading."""
    graph, nodes = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and np.prod(tensor.dims) >= HALVED:
            name = tensor.name
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            nodes.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    _insert(model, {0: nodes})


def _drop_unused(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    del model.graph.value_info[:]
