from collections import Counter

import numpy as np
import onnxruntime
import pytest

from tests.training.conftest import inputs
from training.quantize import quantize


def run(model, batch, rows):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(["logits", "evidence"], inputs(batch, rows))


def presence(logits):
    raised = np.exp(logits - logits.max(-1, keepdims=True))
    return 1 - raised[..., 0] / raised.sum(-1)


@pytest.fixture(scope="module")
def batch(graphs):
    return sorted(graphs.texts[60:90], key=len)


def test_a_quantised_graph_answers_the_same_alone_and_in_any_company(graphs, batch):
    together, evidence = run(graphs.int8, batch, graphs.rows)
    assert len({len(ids) for ids in batch}) > 3
    for row, ids in enumerate(batch):
        alone, words = run(graphs.int8, [ids], graphs.rows)
        assert np.abs(alone[0] - together[row]).max() < 1e-5
        assert np.abs(words[0] - evidence[row][:, : len(ids)]).max() < 1e-5


def test_a_quantised_graph_stays_close_to_the_float_one(graphs, batch):
    exact, _ = run(graphs.plain, batch, graphs.rows)
    close, _ = run(graphs.int8, batch, graphs.rows)
    change = np.abs(presence(close) - presence(exact))[:, :-1]
    assert 0 < change.max() < 0.05


def test_weights_and_word_vectors_are_stored_as_eight_bit_numbers(graphs):
    weights = {t.name: np.prod(t.dims) for t in graphs.int8.graph.initializer if t.data_type == 3}
    stored = sum(weights.values())
    assert stored > 0.9 * sum(
        np.prod(t.dims) for t in graphs.plain.graph.initializer if len(t.dims) == 2
    )
    assert graphs.int8.ByteSize() < 0.6 * graphs.plain.ByteSize()
    used = {name for node in graphs.int8.graph.node for name in node.input}
    assert {tensor.name for tensor in graphs.int8.graph.initializer} <= used


def test_no_scale_is_taken_from_the_batch_at_hand(graphs):
    kinds = Counter(node.op_type for node in graphs.int8.graph.node)
    assert kinds["QuantizeLinear"] > 5
    assert not {"DynamicQuantizeLinear", "DynamicQuantizeMatMul"} & set(kinds)


def test_the_graph_that_is_quantised_is_left_as_it_is(graphs, batch):
    before = graphs.plain.SerializeToString()
    quantize(graphs.plain, [inputs([ids], graphs.rows) for ids in batch[:2]])
    assert graphs.plain.SerializeToString() == before


def test_a_graph_holds_no_path_of_the_machine_that_made_it(graphs):
    assert b".py" not in graphs.plain.SerializeToString()
