from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.training.conftest import inputs
from training.fuse import PRODUCT, fuse


def kinds(model) -> Counter:
    return Counter(node.op_type for node in model.graph.node)


def run(model, batch, rows):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["logits", "evidence", "pooled"], inputs(batch, rows))


@pytest.fixture(scope="module")
def fused(graphs):
    return fuse(graphs.int8)


def test_a_fused_graph_answers_the_same_to_the_last_bit(graphs, fused):
    batch = sorted(graphs.texts[60:90], key=len)
    for part in (batch, batch[:1], batch[-1:]):
        before, after = run(graphs.int8, part, graphs.rows), run(fused, part, graphs.rows)
        for one, other in zip(before, after, strict=True):
            assert np.array_equal(one, other)


def test_every_quantised_product_is_one_node_and_takes_its_bias_along(graphs, fused):
    quantised = [node for node in fused.graph.node if node.op_type == PRODUCT]
    weights = {tensor.name for tensor in graphs.int8.graph.initializer if tensor.data_type == 3}
    assert len(quantised) == kinds(graphs.int8)["MatMul"] - kinds(fused)["MatMul"]
    assert len(quantised) > 6
    assert {node.input[1] for node in quantised} <= weights
    with_bias = [node for node in quantised if len(node.input) > 5]
    assert len(with_bias) == kinds(graphs.int8)["Add"] - kinds(fused)["Add"] > 6
    assert kinds(fused)["DequantizeLinear"] == 0


def test_a_fused_graph_is_whole_holds_nothing_unused_and_leaves_the_other_as_it_is(graphs):
    before = graphs.int8.SerializeToString()
    fused = fuse(graphs.int8)
    assert graphs.int8.SerializeToString() == before
    onnx.checker.check_model(fused)
    used = {name for node in fused.graph.node for name in node.input}
    assert {tensor.name for tensor in fused.graph.initializer} <= used


def test_a_graph_without_quantised_products_stays_what_it_is(graphs):
    again = fuse(graphs.plain)
    assert kinds(again) == kinds(graphs.plain)
    assert {imported.domain for imported in again.opset_import} == {
        imported.domain for imported in graphs.plain.opset_import
    }
