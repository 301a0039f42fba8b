"""The network: one multilingual encoder and label-wise attention (DESIGN, section 3).

Every label, every signal and the comment as a whole has a query that attends over the token states
(label attention after Mullenbach et al. 2018, arXiv:1802.05695). From what a query saw, a head that
all rows of a kind share, plus a small part of the row's own, gives four logits:

    label    absent, negative, neutral, positive
    signal   absent, present                      (the other two are not read)
    comment  -, negative, neutral, positive       (the first is not read)

Queries and own parts are inputs of `forward`, so the exported graph knows no label. Only this file
and training need torch; nothing here is imported when Echolot serves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model.artifact import KINDS

OUTCOMES = 4


@dataclass(frozen=True, slots=True)
class Scores:
    """`logits` [batch, rows, 4]; `attention`, `evidence` [batch, rows, tokens], logits as well."""

    logits: Tensor
    attention: Tensor
    evidence: Tensor


class Network(nn.Module):
    """Encoder, attention of rows over tokens, and what turns the states they saw into logits."""

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        dropout: float = 0.1,
        attention: Literal["label", "mean"] = "label",
    ) -> None:
        """`attention` "mean" is a baseline: every row sees the same mean, through a linear head."""
        super().__init__()
        self.encoder = encoder
        self.attention = attention
        self.seek = nn.Linear(width, width)
        self.offer = nn.Linear(width, width, bias=False)
        self.seek_evidence = nn.Linear(width, width)
        self.offer_evidence = nn.Linear(width, width, bias=False)
        self.seen = nn.Linear(width, width)
        self.matched = nn.Linear(width, width, bias=False)
        self.asked = nn.Linear(width, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.scale = 1 / math.sqrt(width)

    def states(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the token states [batch, tokens, width]; ids and mask are [batch, tokens]."""
        found = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        return found.last_hidden_state  # type: ignore[no-any-return]

    def pooled(self, states: Tensor, attention_mask: Tensor) -> Tensor:
        """Return the mean of the token states [batch, width]: how a label's text is encoded."""
        mask = attention_mask[:, :, None].to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)

    def read(
        self, states: Tensor, attention_mask: Tensor, queries: Tensor, own: Tensor, bias: Tensor
    ) -> Scores:
        """Judge by `queries` [rows, width], `own` [rows, width, 4] and `bias` [rows, 4]."""
        hidden = ((1 - attention_mask) * -1e4)[:, None, :].to(states.dtype)
        attention = self.offer(states) @ (self.seek(queries) * self.scale).T
        attention = attention.transpose(1, 2) + hidden
        if self.attention == "mean":
            pooled = self.pooled(states, attention_mask)[:, None]
            judged = self.dropout(self.norm(pooled)).expand(-1, len(queries), -1)
        else:
            context = self.norm(torch.softmax(attention, dim=-1) @ states)
            judged = self.seen(context) + self.matched(context * queries) + self.asked(queries)
            judged = self.dropout(nn.functional.gelu(judged))
        logits = torch.einsum("bnd,ndo->bno", judged, own) + bias
        evidence = self.offer_evidence(states) @ (self.seek_evidence(queries) * self.scale).T
        return Scores(logits, attention, evidence.transpose(1, 2) + attention + hidden)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        queries: Tensor,
        own: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits, evidence logits and pooled states: the outputs of the exported graph."""
        states = self.states(input_ids, attention_mask)
        scores = self.read(states, attention_mask, queries, own, bias)
        return scores.logits, scores.evidence, self.pooled(states, attention_mask)


class Rows(nn.Module):
    """What belongs to each row (label, signal, comment), and what all rows of a kind share.

    `described` [rows, width] is the centred encoding of a row's name and meaning; the query is its
    image plus a learnt difference. During training a row's own parts are left out now and then
    (`forget`, a share of rows), so that the shared ones learn to do without: that is what scores a
    label which was never trained.
    """

    described: Tensor
    centre: Tensor
    kind: Tensor

    def __init__(self, kinds: list[str], *, width: int, forget: float = 0.1) -> None:
        super().__init__()
        rows = len(kinds)
        self.forget = forget
        self.register_buffer("kind", torch.tensor([KINDS.index(kind) for kind in kinds]))
        self.register_buffer("described", torch.zeros(rows, width))
        self.register_buffer("centre", torch.zeros(width))
        self.image = nn.Linear(width, width)
        self.image_norm = nn.LayerNorm(width)
        self.difference = nn.Parameter(torch.zeros(rows, width))
        self.shared = nn.Parameter(torch.randn(len(KINDS), width, OUTCOMES) * 0.02)
        self.shared_bias = nn.Parameter(torch.zeros(len(KINDS), OUTCOMES))
        self.own = nn.Parameter(torch.zeros(rows, width, OUTCOMES))
        self.own_bias = nn.Parameter(torch.zeros(rows, OUTCOMES))

    def describe(self, encoded: Tensor, *, centre: Tensor | None = None) -> None:
        """Take the pooled encodings [rows, width] of the rows' texts as their descriptions."""
        self.centre.copy_(encoded.mean(0) if centre is None else centre)
        self.described.copy_(encoded - self.centre)

    def forward(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries [rows, width], weights [rows, width, 4] and biases [rows, 4]."""
        keep = torch.ones(len(self.kind), device=self.own.device)
        if self.training and self.forget > 0:
            keep = (torch.rand_like(keep) >= self.forget).to(keep.dtype)
        queries = self.image_norm(self.image(self.described)) + keep[:, None] * self.difference
        weights = self.shared[self.kind] + keep[:, None, None] * self.own
        biases = self.shared_bias[self.kind] + keep[:, None] * self.own_bias
        return queries, weights, biases
