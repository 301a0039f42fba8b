"""Turn labelled comments into tensors: tokens, targets, masks; batches bucketed by length."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from model.network import OUTCOMES
from model.records import SENTIMENTS
from model.taxonomy import Taxonomy
from model.text import CleanText, calm, clean
from training.corpus import AnyOf, Example, Span
from training.teacher import Lesson

Array = npt.NDArray[np.float32]
OPEN = -1  # not annotated: no loss
ABSENT = 0
PRESENT = 4  # present, sentiment unknown; 1..3 are present with SENTIMENTS[i - 1]
_POOL_BATCHES = 40  # this many batches are sorted by length together


@dataclass(frozen=True, slots=True)
class Feature:
    """One comment as the network sees it; evidence is (row, first token, last token)."""

    ids: list[int]
    labels: list[int]
    weights: list[float]
    signals: list[int]
    sentiment: int
    evidence: list[tuple[int, int, int]]
    any_of: tuple[AnyOf, ...]
    lesson: Lesson | None = None
    taught: Array | None = None  # [K, tokens]: the lesson's evidence for these tokens


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one step: B comments, T tokens, L labels, S signals; U statements `any of`."""

    input_ids: Tensor  # [B, T]
    attention_mask: Tensor  # [B, T]
    labels: Tensor  # [B, L]: OPEN, ABSENT, 1..3, PRESENT
    weights: Tensor  # [B, L]
    signals: Tensor  # [B, S]: OPEN, 0, 1
    sentiment: Tensor  # [B]: OPEN, 0..2
    evidence_at: Tensor  # [E, 2]: comment and row
    evidence: Tensor  # [E, T]: 1 inside
    any_at: Tensor  # [U, 2]: comment, and outcome (1..3, or PRESENT)
    any_labels: Tensor  # [U, L]: 1 for the labels of the statement
    any_weights: Tensor  # [U]
    taught: Tensor  # [B, R, 4]: what a teacher says; all 0 where none does
    taught_at: Tensor  # [K, 2]: comment and row
    taught_evidence: Tensor  # [K, T]: probability that a token is inside

    def to(self, device: torch.device) -> Batch:
        """Return the batch on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__slots__))


class Featurizer:
    """Makes features and batches for one tokenizer and one taxonomy."""

    def __init__(self, tokenizer: Tokenizer, taxonomy: Taxonomy, *, max_tokens: int) -> None:
        self._tokenizer = tokenizer
        self._labels = list(taxonomy.labels)
        self._signals = list(taxonomy.signals)
        self._max_tokens = max_tokens
        self._pad = pad_id(tokenizer)

    def features(
        self, examples: Sequence[Example], lessons: Sequence[Lesson | None] | None = None
    ) -> list[Feature]:
        """Return one feature per example, cut after `max_tokens`; what lies beyond is left open."""
        lessons = lessons if lessons is not None else [None] * len(examples)
        cleaned = [clean(example.text) for example in examples]
        encodings = self._tokenizer.encode_batch([calm(text.text) for text in cleaned])
        return [
            self._feature(example, text, encoding.ids, encoding.offsets, lesson)
            for example, text, encoding, lesson in zip(
                examples, cleaned, encodings, lessons, strict=True
            )
        ]

    def _feature(
        self,
        example: Example,
        text: CleanText,
        ids: list[int],
        offsets: list[Span],
        lesson: Lesson | None,
    ) -> Feature:
        cut = len(ids) > self._max_tokens
        if cut:
            ids = [*ids[: self._max_tokens - 1], ids[-1]]
            offsets = [*offsets[: self._max_tokens - 1], (0, 0)]
        labels = [ABSENT if label in example.absent else OPEN for label in self._labels]
        weights = [example.weight] * len(labels)
        evidence = []
        for label, note in example.labels.items():
            row = self._labels.index(label)
            run = token_run(note.evidence, text, offsets) if note.evidence else None
            if note.evidence and run is None and cut:
                labels[row] = OPEN  # its words lie beyond the cut
                continue
            labels[row] = SENTIMENTS.index(note.sentiment) + 1 if note.sentiment else PRESENT
            weights[row] *= note.weight
            if run:
                evidence.append((row, *run))
        signals = [
            OPEN if example.signals is None else int(signal in example.signals)
            for signal in self._signals
        ]
        sentiment = SENTIMENTS.index(example.sentiment) if example.sentiment else OPEN
        taught = lesson.evidence_at(offsets) if lesson else None
        return Feature(
            ids, labels, weights, signals, sentiment, evidence, example.any_of, lesson, taught
        )

    def batch(self, features: Sequence[Feature]) -> Batch:
        """Return features as tensors, padded to the longest."""
        width = max(len(feature.ids) for feature in features)
        ids = torch.full((len(features), width), self._pad)
        mask = torch.zeros(len(features), width, dtype=torch.long)
        for i, feature in enumerate(features):
            ids[i, : len(feature.ids)] = torch.tensor(feature.ids)
            mask[i, : len(feature.ids)] = 1
        runs = [(i, *run) for i, feature in enumerate(features) for run in feature.evidence]
        inside = torch.zeros(len(runs), width)
        for row, (_, _, first, last) in enumerate(runs):
            inside[row, first : last + 1] = 1
        unions = [(i, known) for i, feature in enumerate(features) for known in feature.any_of]
        members = torch.zeros(len(unions), len(self._labels))
        for row, (_, known) in enumerate(unions):
            members[row, [self._labels.index(label) for label in known.labels]] = 1
        outcomes = [
            SENTIMENTS.index(known.sentiment) + 1 if known.sentiment else PRESENT
            for _, known in unions
        ]
        return Batch(
            input_ids=ids,
            attention_mask=mask,
            labels=torch.tensor([feature.labels for feature in features]),
            weights=torch.tensor([feature.weights for feature in features]),
            signals=torch.tensor([feature.signals for feature in features]),
            sentiment=torch.tensor([feature.sentiment for feature in features]),
            evidence_at=torch.tensor([run[:2] for run in runs], dtype=torch.long).reshape(-1, 2),
            evidence=inside,
            any_at=torch.tensor(
                [(i, outcome) for (i, _), outcome in zip(unions, outcomes, strict=True)],
                dtype=torch.long,
            ).reshape(-1, 2),
            any_labels=members,
            any_weights=torch.tensor([known.weight for _, known in unions]),
            **self._taught(features, width),
        )

    def _taught(self, features: Sequence[Feature], width: int) -> dict[str, Tensor]:
        rows = len(self._labels) + len(self._signals) + 1
        outcomes = torch.zeros(len(features), rows, OUTCOMES)
        at: list[tuple[int, int]] = []
        evidence: list[Array] = []
        for i, feature in enumerate(features):
            if feature.lesson is None or feature.taught is None:
                continue
            outcomes[i] = torch.from_numpy(feature.lesson.outcomes)
            at += [(i, int(row)) for row in feature.lesson.rows]
            evidence += [np.pad(row, (0, width - len(row))) for row in feature.taught]
        return {
            "taught": outcomes,
            "taught_at": torch.tensor(at, dtype=torch.long).reshape(-1, 2),
            "taught_evidence": torch.from_numpy(
                np.array(evidence, dtype=np.float32).reshape(-1, width)
            ),
        }


def plan(lengths: Sequence[int], *, comments: int, rng: np.random.Generator) -> list[list[int]]:
    """Return the indices of each batch; batches of alike length waste few tokens on padding."""
    shuffled = rng.permutation(len(lengths)).tolist()
    pool = comments * _POOL_BATCHES
    batches = []
    for start in range(0, len(shuffled), pool):
        bucket = sorted(shuffled[start : start + pool], key=lambda i: lengths[i])
        batches += [bucket[i : i + comments] for i in range(0, len(bucket), comments)]
    return [batches[i] for i in rng.permutation(len(batches))]


def token_run(span: Span, text: CleanText, offsets: Sequence[Span]) -> tuple[int, int] | None:
    """Return first and last token that touch a span of the original text, None where none does."""
    first_char = bisect_right(text.ends, span[0])
    last_char = bisect_left(text.starts, span[1])
    touched = [
        i for i, (start, end) in enumerate(offsets) if start < last_char and end > first_char
    ]
    return (touched[0], touched[-1]) if touched else None


def pad_id(tokenizer: Tokenizer) -> int:
    """Return the id of the padding piece, 0 where there is none (the mask hides it anyway)."""
    for piece in ("<pad>", "[PAD]"):
        if (found := tokenizer.token_to_id(piece)) is not None:
            return int(found)
    return 0
