"""Write quantised products as the engine runs them: one node for product, scales and bias.

ONNX Runtime makes `MatMulIntegerToFloat` of a product between quantise-dequantise pairs, but leaves
the bias to a node of its own, and then joins bias and GELU in a kernel that is slower than a
product with a bias and a plain GELU. The answers are the same to the last bit.
"""

from __future__ import annotations

from collections import Counter

from onnx import ModelProto, NodeProto, helper

DOMAIN = "com.microsoft"
PRODUCT = "MatMulIntegerToFloat"


def fuse(model: ModelProto) -> ModelProto:
    """Return a copy in which each quantised product is one node, with its bias if it has one."""
    fused = ModelProto()
    fused.CopyFrom(model)
    graph = fused.graph
    made = {name: node for node in graph.node for name in node.output}
    vectors = {tensor.name for tensor in graph.initializer if len(tensor.dims) == 1}
    used = Counter(name for node in graph.node for name in node.input)
    used.update(value.name for value in graph.output)
    following = {name: node for node in graph.node for name in node.input}
    added: dict[str, NodeProto] = {}  # by what the old node gave; empty where none comes instead
    for node in graph.node:
        if not _is_quantized_product(node, made):
            continue
        out, bias = node.output[0], ""
        after = following.get(out)
        if after is not None and after.op_type == "Add" and used[out] == 1:
            bias = next((name for name in after.input if name in vectors), "")
            out = after.output[0] if bias else out
        added[out] = _product(made[node.input[0]], made[node.input[1]], bias=bias, out=out)
        if bias:
            added[node.output[0]] = NodeProto()
    _rewrite(fused, added)
    if added and DOMAIN not in {imported.domain for imported in fused.opset_import}:
        fused.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    return fused


def _is_quantized_product(node: NodeProto, made: dict[str, NodeProto]) -> bool:
    if node.op_type != "MatMul":
        return False
    sources = [made.get(name) for name in node.input]
    return all(source is not None and source.op_type == "DequantizeLinear" for source in sources)


def _product(steps: NodeProto, weight: NodeProto, *, bias: str, out: str) -> NodeProto:
    """Return the node; a weight's zero point is left out, since quantised weights are symmetric."""
    inputs = [steps.input[0], weight.input[0], steps.input[1], weight.input[1], steps.input[2]]
    inputs += ["", bias] if bias else []
    return helper.make_node(PRODUCT, inputs, [out], domain=DOMAIN)


def _rewrite(model: ModelProto, added: dict[str, NodeProto]) -> None:
    """Put the new nodes where the old ones with their outputs were; drop what nothing reads."""
    graph = model.graph
    nodes = [added.get(node.output[0], node) for node in graph.node]
    wanted = {value.name for value in graph.output}
    kept: list[NodeProto] = []
    for node in reversed(nodes):  # whoever reads a value comes after whoever makes it
        if any(name in wanted for name in node.output):
            copy = NodeProto()
            copy.CopyFrom(node)
            kept.append(copy)
            wanted.update(filter(None, node.input))
    del graph.node[:]
    graph.node.extend(reversed(kept))
    tensors = [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.initializer[:]
    graph.initializer.extend(tensors)
    del graph.value_info[:]
