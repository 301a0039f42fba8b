"""Run the network on texts: tokens, windows, batches by token budget, ONNX Runtime.

Texts are cleaned text (model/text.py). A text over the token limit is read in overlapping windows.
Batches hold windows of alike length up to a budget of tokens, since padding is wasted work. What
the graph answers for a text does not depend on the batch: its activation scales are static.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from model.artifact import RowTable
from model.errors import ArtifactError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Span = tuple[int, int]
# How several threads share the work: each runs batches of its own, or all share every product.
# Two threads gave 1.9 and 1.45 times the rate of one, and budgets of 256 and 512 tokens were alike,
# 1,024 a sixth slower (`python -m benchmarks.engine_sweep`).
Spread = Literal["batches", "products"]
SPREAD: Spread = "batches"
BUDGET_TOKENS = 256  # padded tokens a batch
BATCH_TOKENS = 16  # what a batch costs by itself, as so many tokens more
OVERLAP_TOKENS = 64  # that two windows of a long text share: a few sentences
PAD = 1  # the token id that fills up; masked, so that any would do
INPUTS = {"input_ids", "attention_mask", "queries", "own", "bias"}
OUTPUTS = {"logits", "evidence", "pooled"}


@dataclass(frozen=True, slots=True)
class Window:
    """What the network says of one window: `logits` [R, 4]; evidence logits [R, T] by token.

    `spans` [T, 2] are the tokens' offsets in the text; tokens that stand for no text are left out.
    """

    logits: Array
    evidence: Array
    spans: Ids


@dataclass(frozen=True, slots=True)
class _Pieces:
    """All windows of some texts before they are run: the tokens of one after those of another.

    Piece p belongs to `texts[p]` and has `lengths[p]` tokens from `begins[p]` on.
    """

    texts: Sequence[int]
    begins: Ids
    lengths: Ids
    ids: Ids
    spans: Ids

    @classmethod
    def of(cls, cut: Iterable[tuple[int, Sequence[int], Sequence[Span]]]) -> _Pieces:
        """Take pieces as text, token ids and offsets."""
        texts, ids, spans = [], [], []
        for text, of_piece, places in cut:
            texts.append(text)
            ids.append(of_piece)
            spans.append(places)
        lengths = np.array([len(part) for part in ids], dtype=np.int64)
        offsets = chain.from_iterable(chain.from_iterable(spans))
        return cls(
            texts,
            np.cumsum(lengths) - lengths,
            lengths,
            np.fromiter(chain.from_iterable(ids), dtype=np.int64),
            np.fromiter(offsets, dtype=np.int64).reshape(-1, 2),
        )

    def padded(self, batch: Sequence[int]) -> dict[str, Ids]:
        """Return the inputs of the graph that hold these pieces, [pieces, longest]."""
        lengths = self.lengths[batch]
        column = np.arange(max(2, lengths.max()))
        mask = column < lengths[:, None]
        ids = np.full(mask.shape, PAD, dtype=np.int64)
        ids[mask] = self.ids[(self.begins[batch][:, None] + column)[mask]]
        return {"input_ids": ids, "attention_mask": mask.astype(np.int64)}

    def real(self) -> list[tuple[slice | Ids, Ids]]:
        """Return for each piece where its tokens that stand for text lie, and their offsets."""
        real = np.flatnonzero(self.spans[:, 1] > self.spans[:, 0])
        spans = self.spans[real]
        firsts = np.searchsorted(real, self.begins).tolist()
        lasts = np.searchsorted(real, self.begins + self.lengths).tolist()
        found: list[tuple[slice | Ids, Ids]] = []
        for first, last, begin in zip(firsts, lasts, self.begins.tolist(), strict=True):
            places = real[first:last] - begin
            whole = first == last or int(places[-1] - places[0]) == last - first - 1
            # A slice costs no copy, and nearly always does.
            taken = slice(*(places[[0, -1]] + (0, 1))) if whole and first < last else places
            found.append((taken, spans[first:last]))
        return found


@dataclass(frozen=True, slots=True)
class Pending:
    """Texts that are being read, or will be once somebody asks for their windows."""

    count: int
    pieces: _Pieces
    batches: Sequence[Sequence[int]]
    answers: Iterator[list[Array]]

    def windows(self) -> list[list[Window]]:
        """Return the windows of each text, in the order of the texts; to be called once."""
        real = self.pieces.real()
        answers: dict[int, Window] = {}
        for batch, (logits, evidence) in zip(self.batches, self.answers, strict=True):
            for row, piece in enumerate(batch):
                places, spans = real[piece]
                answers[piece] = Window(logits[row], evidence[row][:, places], spans)
        found: list[list[Window]] = [[] for _ in range(self.count)]
        for piece, text in enumerate(self.pieces.texts):
            found[text].append(answers[piece])
        return found


class Engine:
    """A graph with its tokenizer and the rows that it judges by. Threads may call it at once."""

    def __init__(
        self,
        session: InferenceSession,
        tokenizer: Tokenizer,
        rows: RowTable,
        *,
        max_tokens: int,
        budget: int = BUDGET_TOKENS,
        workers: int = 1,
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self.rows = rows
        self._max_tokens = max_tokens
        self._budget = budget
        self._workers = workers
        self._pool = ThreadPoolExecutor(workers, "engine") if workers > 1 else None

    @classmethod
    def load(
        cls,
        graph: Path,
        tokenizer: Path,
        rows: RowTable,
        *,
        max_tokens: int,
        threads: int = 0,
        budget: int = BUDGET_TOKENS,
        spread: Spread = SPREAD,
    ) -> Engine:
        """Load graph and tokenizer; `threads` 0 takes all cores. Raises `ArtifactError`."""
        # The library may report its use to its makers; a service for customers' words does not. It
        # reads this when it is imported, and then keeps no device id on disk either.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from tokenizers import Tokenizer

        threads = threads or _cores()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads if spread == "products" else 1
        options.inter_op_num_threads = 1
        # Threads that spin while they wait would take the cores from the web server beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(
                str(graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as problem:  # onnxruntime raises classes of its own making
            raise ArtifactError(
                f"{graph}: cannot be loaded ({type(problem).__name__}); fetch or train it again"
            ) from None
        _check_graph(session, graph, rows)
        try:
            loaded = Tokenizer.from_file(str(tokenizer))
        except Exception:  # tokenizers raises plain Exception
            raise ArtifactError(f"{tokenizer}: cannot be loaded; fetch or train it again") from None
        loaded.no_padding()
        loaded.no_truncation()
        return cls(
            session,
            loaded,
            rows,
            max_tokens=max_tokens,
            budget=budget,
            workers=threads if spread == "batches" else 1,
        )

    def with_rows(self, rows: RowTable) -> Engine:
        """Return an engine that judges by other rows, over the same session."""
        return Engine(
            self._session,
            self._tokenizer,
            rows,
            max_tokens=self._max_tokens,
            budget=self._budget,
            workers=self._workers,
        )

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """Return the windows of each text, in the order of the texts; most have one.

        All of them are held at once: a caller with more texts than fit in memory calls by parts.
        """
        return self.begin(texts).windows()

    def begin(self, texts: Sequence[str]) -> Pending:
        """Start to read texts. With several workers they run while the caller does other things."""
        pieces = self._pieces(texts)
        batches = _batches(pieces.lengths, budget=self._budget, workers=self._workers)
        run = partial(self._run, pieces, outputs=("logits", "evidence"))
        answers = map(run, batches) if self._pool is None else self._pool.map(run, batches)
        return Pending(len(texts), pieces, batches, answers)

    def describe(self, texts: Sequence[str]) -> Array:
        """Return the pooled encodings [texts, W] by which untrained labels are known."""
        encodings = self._tokenizer.encode_batch(list(texts))
        pieces = _Pieces.of(
            (n, e.ids[: self._max_tokens], e.offsets[: self._max_tokens])
            for n, e in enumerate(encodings)
        )
        # One by one: no label's text is so much as rounded otherwise because of another's.
        pooled = [self._run(pieces, [n], outputs=("pooled",))[0][0] for n in range(len(texts))]
        return np.stack(pooled)

    def _pieces(self, texts: Sequence[str]) -> _Pieces:
        encodings = self._tokenizer.encode_batch(list(texts))
        return _Pieces.of(
            (text, ids, spans)
            for text, encoding in enumerate(encodings)
            for ids, spans in self._cut(encoding.ids, encoding.offsets)
        )

    def _cut(
        self, ids: list[int], spans: list[Span]
    ) -> Iterator[tuple[Sequence[int], Sequence[Span]]]:
        """Yield the windows of a text; each begins and ends with the special tokens."""
        if len(ids) <= self._max_tokens:
            yield ids, spans
            return
        room = self._max_tokens - 2
        inner = len(ids) - 2
        step = room - min(OVERLAP_TOKENS, room // 2)
        for s in (*range(0, inner - room, step), inner - room):
            yield (
                [ids[0], *ids[1 + s : 1 + s + room], ids[-1]],
                [(0, 0), *spans[1 + s : 1 + s + room], (0, 0)],
            )

    def _run(self, pieces: _Pieces, batch: Sequence[int], *, outputs: Sequence[str]) -> list[Array]:
        rows = {"queries": self.rows.queries, "own": self.rows.own, "bias": self.rows.bias}
        return list(self._session.run(outputs, {**pieces.padded(batch), **rows}))


def _cores() -> int:
    """Return the cores that this process may use."""
    available = getattr(os, "sched_getaffinity", None)  # Linux alone knows
    return len(available(0)) if available else os.cpu_count() or 1


def _check_graph(session: InferenceSession, graph: Path, rows: RowTable) -> None:
    """Raise `ArtifactError` where the graph takes, gives or expects other things than it is fed."""
    inputs = {value.name: value.shape for value in session.get_inputs()}
    outputs = {value.name for value in session.get_outputs()}
    if set(inputs) != INPUTS or outputs != OUTPUTS:
        raise ArtifactError(
            f"{graph}: is no graph of this version (inputs {sorted(inputs)}, outputs "
            f"{sorted(outputs)}); fetch or train it again"
        )
    width = rows.queries.shape[1]
    if inputs["queries"][-1] != width:
        raise ArtifactError(
            f"{graph}: takes queries of width {inputs['queries'][-1]}, and labels.npz holds "
            f"{width}; fetch or train it again"
        )


def _batches(lengths: Ids, *, budget: int, workers: int) -> list[list[int]]:
    """Return positions in order of length, each batch within the budget of padded tokens.

    A batch is closed before its padding costs more than another batch. Where there is too little
    for all workers the batches are smaller, so that each has one.
    """
    if workers > 1:
        budget = min(budget, -(-int(lengths.sum()) // workers))
    order = np.argsort(lengths, kind="stable")
    batches: list[list[int]] = []
    held = 0  # tokens in the last batch
    for place, length in zip(order.tolist(), lengths[order].tolist(), strict=True):
        padded = length * (len(batches[-1]) + 1) if batches else 0
        if not batches or padded > budget or padded - held - length > BATCH_TOKENS:
            batches.append([])
            held = 0
        batches[-1].append(place)
        held += length
    return batches
