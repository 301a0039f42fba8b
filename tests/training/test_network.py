"""What the baseline of one pooled vector does otherwise, and rows without a part of their own."""

import torch

from training.encoder import load_tokenizer
from training.finetune import build_learner


def scores_of(parts, **changes):
    run = parts.run.model_copy(update=changes)
    tokenizer = load_tokenizer(parts.encoder)
    learner = build_learner(
        run, encoder=parts.encoder, tokenizer=tokenizer, taxonomy=parts.taxonomy
    )
    learner.network.eval()
    ids = torch.tensor([[0, 7, 8, 9, 2]])
    mask = torch.ones_like(ids)
    with torch.no_grad():
        states = learner.network.states(ids, mask)
        torch.nn.init.normal_(learner.rows.difference)
        logits = learner.network.read(states, mask, *learner.rows()).logits
    return learner, logits[0]


def test_rows_of_a_pooled_vector_with_equal_weights_answer_alike(parts):
    _, mean = scores_of(parts, attention="mean", forget=0.0)
    _, label = scores_of(parts, attention="label", forget=0.0)
    labels = len(parts.taxonomy.labels)
    assert torch.allclose(mean[0], mean[1])
    assert not torch.allclose(label[0], label[1])
    assert mean[:labels].shape == label[:labels].shape


def test_a_row_that_always_forgets_never_moves_its_own_part(parts):
    learner, _ = scores_of(parts, forget=1.0)
    learner.rows.train()
    queries, weights, _ = learner.rows()
    (queries.sum() + weights.sum()).backward()
    assert learner.rows.own.grad.abs().sum() == 0
    assert learner.rows.difference.grad.abs().sum() == 0
    assert learner.rows.shared.grad.abs().sum() > 0
