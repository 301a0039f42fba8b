"""What is asked of the network: one sum over all that is annotated, nothing for what is not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax, nll_loss, pad

from model.network import Scores
from training.features import ABSENT, OPEN, PRESENT, Batch

ATTENTION_SHARE = 0.3  # of the evidence loss: attention should look where the evidence is
_TINY = 1e-6


def total_loss(
    scores: Scores,
    batch: Batch,
    *,
    present_weight: float,
    evidence_weight: float,
    lesson_weight: float = 0.0,
) -> Tensor:
    """Return the loss a comment: labels, any-of statements, signals, sentiment and evidence.

    `present_weight` makes up for how few of a comment's labels are present. `lesson_weight` is the
    share of what a teacher says; what is annotated has the rest.
    """
    annotated = _annotated(
        scores, batch, present_weight=present_weight, evidence_weight=evidence_weight
    )
    if not lesson_weight:
        return annotated / len(batch.input_ids)
    taught = _taught(scores, batch, evidence_weight=evidence_weight)
    return ((1 - lesson_weight) * annotated + lesson_weight * taught) / len(batch.input_ids)


def _annotated(
    scores: Scores, batch: Batch, *, present_weight: float, evidence_weight: float
) -> Tensor:
    labels, signals = batch.labels.shape[1], batch.signals.shape[1]
    logits = scores.logits.float()
    outcome = log_softmax(logits[:, :labels], dim=-1)
    loss = _labels(outcome, batch, present_weight=present_weight)
    loss = loss + _any_of(outcome, batch, present_weight=present_weight)
    if signals:
        present = log_softmax(logits[:, labels : labels + signals, :2], dim=-1)
        loss = loss + _signals(present, batch.signals, present_weight=present_weight)
    loss = loss + nll_loss(
        log_softmax(logits[:, -1, 1:], dim=-1), batch.sentiment, ignore_index=OPEN, reduction="sum"
    )
    if evidence_weight and len(batch.evidence_at):
        loss = loss + evidence_weight * _evidence(scores, batch)
    return loss


def _taught(scores: Scores, batch: Batch, *, evidence_weight: float) -> Tensor:
    """Return the cross-entropy against a teacher's probabilities, and that of its evidence."""
    labels = batch.labels.shape[1]
    logits = scores.logits.float()
    said = torch.cat(
        [
            log_softmax(logits[:, :labels], dim=-1),
            pad(log_softmax(logits[:, labels:-1, :2], dim=-1), (0, 2)),
            pad(log_softmax(logits[:, -1:, 1:], dim=-1), (1, 0)),
        ],
        dim=1,
    )
    loss = -(said * batch.taught).sum()
    if evidence_weight and len(batch.taught_at):
        comment, row = batch.taught_at.unbind(1)
        mask = batch.attention_mask[comment].float()
        each = binary_cross_entropy_with_logits(
            scores.evidence[comment, row].float(), batch.taught_evidence, reduction="none"
        )
        loss = loss + evidence_weight * ((each * mask).sum(1) / mask.sum(1)).sum()
    return loss


def _labels(outcome: Tensor, batch: Batch, *, present_weight: float) -> Tensor:
    known = outcome.gather(2, batch.labels.clamp(0, 3)[:, :, None])[:, :, 0]
    anyhow = torch.logsumexp(outcome[:, :, 1:], dim=-1)
    log_likelihood = torch.where(batch.labels == PRESENT, anyhow, known)
    weight = torch.where(batch.labels == ABSENT, 1.0, present_weight) * batch.weights
    return -(log_likelihood * weight * (batch.labels != OPEN)).sum()


def _any_of(outcome: Tensor, batch: Batch, *, present_weight: float) -> Tensor:
    """Return -log(1 - product of (1 - p)) over the labels of each statement."""
    if not len(batch.any_at):
        return outcome.new_zeros(())
    rows, wanted = batch.any_at.unbind(1)
    probability = outcome[rows].exp()
    by_sentiment = probability.gather(
        2, wanted.clamp(1, 3)[:, None, None].expand(-1, probability.shape[1], 1)
    )[:, :, 0]
    present = torch.where((wanted == PRESENT)[:, None], 1 - probability[:, :, 0], by_sentiment)
    none = (torch.log1p(-present.clamp(max=1 - _TINY)) * batch.any_labels).sum(1)
    some = torch.log((1 - none.exp()).clamp(min=_TINY))
    return -(some * batch.any_weights).sum() * present_weight


def _signals(present: Tensor, target: Tensor, *, present_weight: float) -> Tensor:
    log_likelihood = present.gather(2, target.clamp(0, 1)[:, :, None])[:, :, 0]
    weight = torch.where(target == 1, present_weight, 1.0)
    return -(log_likelihood * weight * (target != OPEN)).sum()


def _evidence(scores: Scores, batch: Batch) -> Tensor:
    """Return what evidence costs: each token inside or outside, and attention that looks inside."""
    comment, row = batch.evidence_at.unbind(1)
    mask = batch.attention_mask[comment].float()
    each = binary_cross_entropy_with_logits(
        scores.evidence[comment, row].float(), batch.evidence, reduction="none"
    )
    tokens = (each * mask).sum(1) / mask.sum(1)
    attention = torch.softmax(scores.attention[comment, row].float(), dim=-1)
    looked = torch.log(((attention * batch.evidence).sum(1)).clamp(min=_TINY))
    return (tokens - ATTENTION_SHARE * looked).sum()
