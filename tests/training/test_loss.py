import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.network import Scores
from training.features import ABSENT, OPEN, PRESENT, Batch
from training.loss import ATTENTION_SHARE, total_loss

LABELS, SIGNALS, TOKENS = 3, 1, 5
ROWS = LABELS + SIGNALS + 1


def scores_of(comments=1, *, seed=0):
    torch.manual_seed(seed)
    shapes = [(comments, ROWS, 4), (comments, ROWS, TOKENS), (comments, ROWS, TOKENS)]
    return Scores(*(torch.randn(shape, requires_grad=True) for shape in shapes))


def batch_of(comments=1, **known):
    """Return a batch that knows nothing but what is given."""
    parts = {
        "input_ids": torch.ones(comments, TOKENS, dtype=torch.long),
        "attention_mask": torch.ones(comments, TOKENS, dtype=torch.long),
        "labels": torch.full((comments, LABELS), OPEN),
        "weights": torch.ones(comments, LABELS),
        "signals": torch.full((comments, SIGNALS), OPEN),
        "sentiment": torch.full((comments,), OPEN),
        "evidence_at": torch.zeros(0, 2, dtype=torch.long),
        "evidence": torch.zeros(0, TOKENS),
        "any_at": torch.zeros(0, 2, dtype=torch.long),
        "any_labels": torch.zeros(0, LABELS),
        "any_weights": torch.zeros(0),
        "taught": torch.zeros(comments, ROWS, 4),
        "taught_at": torch.zeros(0, 2, dtype=torch.long),
        "taught_evidence": torch.zeros(0, TOKENS),
    }
    return Batch(**{**parts, **known})


def loss_of(scores, batch, *, present_weight=2.0, evidence_weight=1.0, lesson_weight=0.0):
    return total_loss(
        scores,
        batch,
        present_weight=present_weight,
        evidence_weight=evidence_weight,
        lesson_weight=lesson_weight,
    )


def softmax(row):
    raised = [math.exp(value) for value in row]
    return [value / sum(raised) for value in raised]


def test_what_nobody_annotated_costs_nothing_and_teaches_nothing():
    scores = scores_of(2)
    loss = loss_of(scores, batch_of(2))
    assert loss.item() == 0
    loss.backward()
    assert scores.logits.grad.abs().sum() == 0


def test_an_open_decision_gives_no_gradient_beside_known_ones():
    scores = scores_of()
    known = torch.tensor([[2, OPEN, ABSENT]])
    loss_of(scores, batch_of(labels=known, sentiment=torch.tensor([1]))).backward()
    taught = scores.logits.grad[0].abs().sum(-1) > 0
    assert taught.tolist() == [True, False, True, False, True]


def test_a_comment_costs_what_a_hand_computation_says():
    scores = scores_of(2, seed=3)
    batch = batch_of(
        2,
        labels=torch.tensor([[ABSENT, 1, PRESENT], [OPEN, OPEN, 3]]),
        weights=torch.tensor([[1.0, 0.5, 1.0], [1.0, 1.0, 1.0]]),
        signals=torch.tensor([[1], [0]]),
        sentiment=torch.tensor([2, OPEN]),
    )
    logits = scores.logits.detach().tolist()
    label = [[softmax(row) for row in comment[:LABELS]] for comment in logits]
    signal = [softmax(comment[LABELS][:2]) for comment in logits]
    expected = -math.log(label[0][0][0])
    expected -= 2.0 * 0.5 * math.log(label[0][1][1])
    expected -= 2.0 * math.log(1 - label[0][2][0])
    expected -= 2.0 * math.log(label[1][2][3])
    expected -= 2.0 * math.log(signal[0][1]) + math.log(signal[1][0])
    expected -= math.log(softmax(logits[0][-1][1:])[2])
    assert loss_of(scores, batch).item() == pytest.approx(expected / 2, rel=1e-5)


def test_evidence_costs_what_a_hand_computation_says():
    scores = scores_of(seed=4)
    inside = torch.tensor([[0.0, 1.0, 1.0, 0.0, 0.0]])
    mask = torch.tensor([[1, 1, 1, 1, 0]])
    at = torch.tensor([[0, 1]])
    batch = batch_of(evidence_at=at, evidence=inside, attention_mask=mask)
    token = scores.evidence.detach()[0, 1].tolist()
    attention = softmax(scores.attention.detach()[0, 1].tolist())
    chances = [1 / (1 + math.exp(-value)) for value in token]
    outside = math.log(1 - chances[0]) + math.log(1 - chances[3])
    each = -(outside + math.log(chances[1]) + math.log(chances[2])) / 4
    looked = math.log(attention[1] + attention[2])
    expected = 1.5 * (each - ATTENTION_SHARE * looked)
    assert loss_of(scores, batch, evidence_weight=1.5).item() == pytest.approx(expected, rel=1e-5)
    assert loss_of(scores, batch, evidence_weight=0.0).item() == 0


def union(outcome, members=(1, 1, 0)):
    return batch_of(
        any_at=torch.tensor([[0, outcome]]),
        any_labels=torch.tensor([list(members)], dtype=torch.float32),
        any_weights=torch.tensor([0.5]),
    )


@pytest.mark.parametrize("outcome", [1, 2, 3, PRESENT])
def test_one_of_several_costs_what_a_hand_computation_says(outcome):
    scores = scores_of(seed=5)
    rows = [softmax(row) for row in scores.logits.detach()[0, :2].tolist()]
    chances = [1 - row[0] if outcome == PRESENT else row[outcome] for row in rows]
    expected = -2.0 * 0.5 * math.log(1 - (1 - chances[0]) * (1 - chances[1]))
    assert loss_of(scores, union(outcome)).item() == pytest.approx(expected, rel=1e-5)


@given(
    logits=st.lists(st.floats(-4, 4), min_size=12, max_size=12),
    outcome=st.sampled_from([1, 2, 3, PRESENT]),
    member=st.integers(0, 1),
)
def test_raising_any_member_of_one_of_several_lowers_the_loss(logits, outcome, member):
    scores = scores_of()
    with torch.no_grad():
        scores.logits[0, :LABELS] = torch.tensor(logits).reshape(LABELS, 4)
    before = loss_of(scores, union(outcome))
    before.backward()
    gradient = scores.logits.grad[0]
    assert gradient[2].abs().sum() == 0  # no member
    raised = 1 if outcome == PRESENT else outcome
    assert gradient[member, raised] <= 0
    with torch.no_grad():
        scores.logits[0, member, raised] += 1.0
    assert loss_of(scores, union(outcome)) <= before + 1e-6


def test_a_taxonomy_without_signals_has_a_loss_too():
    torch.manual_seed(0)
    rows = LABELS + 1
    scores = Scores(*(torch.randn(1, rows, n, requires_grad=True) for n in (4, TOKENS, TOKENS)))
    batch = batch_of(signals=torch.zeros(1, 0), labels=torch.tensor([[1, ABSENT, OPEN]]))
    loss = loss_of(scores, batch)
    assert loss.item() > 0


def lesson_of(scores):
    """Return what a teacher says that thinks exactly what `scores` say."""
    outcomes = torch.zeros(len(scores.logits), ROWS, 4)
    outcomes[:, :LABELS] = scores.logits[:, :LABELS].softmax(-1)
    outcomes[:, LABELS:-1, :2] = scores.logits[:, LABELS:-1, :2].softmax(-1)
    outcomes[:, -1, 1:] = scores.logits[:, -1, 1:].softmax(-1)
    return outcomes.detach()


def test_who_thinks_as_the_teacher_does_has_nothing_to_learn():
    scores = scores_of(2)
    loss_of(scores, batch_of(2, taught=lesson_of(scores)), lesson_weight=1.0).backward()
    assert scores.logits.grad.abs().max() < 1e-6


def test_a_lesson_draws_towards_the_teacher_and_its_words():
    scores, teacher = scores_of(), scores_of(seed=1)
    taught = lesson_of(teacher)
    evidence = torch.tensor([[0.0, 0.9, 0.9, 0.1, 0.0]])
    batch = batch_of(taught=taught, taught_at=torch.tensor([[0, 1]]), taught_evidence=evidence)
    loss_of(scores, batch, lesson_weight=1.0).backward()
    expected = scores.logits.detach()[0, 0].softmax(-1) - taught[0, 0]
    assert torch.allclose(scores.logits.grad[0, 0], expected, atol=1e-6)
    gradient = scores.evidence.grad[0, 1]
    assert torch.allclose(
        gradient, (scores.evidence.detach()[0, 1].sigmoid() - evidence[0]) / TOKENS, atol=1e-6
    )
    assert scores.evidence.grad[0, 0].abs().sum() == 0


def test_annotation_and_lesson_share_the_loss():
    scores = scores_of()
    known = batch_of(labels=torch.tensor([[2, ABSENT, ABSENT]]))
    taught = batch_of(taught=lesson_of(scores_of(seed=1)))
    both = batch_of(labels=known.labels, taught=taught.taught)
    shared = loss_of(scores, both, lesson_weight=0.25).item()
    alone = loss_of(scores, known).item(), loss_of(scores, taught, lesson_weight=1.0).item()
    assert shared == pytest.approx(0.75 * alone[0] + 0.25 * alone[1], rel=1e-5)
