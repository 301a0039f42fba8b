"""Run the network on texts: tokens, windows, batches by token budget, one ONNX Runtime session.

Texts are cleaned text (model/text.py). A text over the token limit is read in overlapping windows.
Batches hold windows of alike length up to a budget of tokens, since padding is wasted work. What
the graph answers for a text does not depend on the batch: its activation scales are static.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model.artifact import RowTable
from model.errors import ArtifactError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from tokenizers import Encoding, Tokenizer

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
BUDGET_TOKENS = 1024  # padded tokens a batch
OVERLAP_TOKENS = 64  # that two windows of a long text share: a few sentences
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
class _Piece:
    """One window before it is run: its text's position, token ids and where its real tokens lie."""

    text: int
    ids: list[int]
    spans: list[tuple[int, int]]


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
    ) -> None:
        self._session = session
        self._tokenizer = tokenizer
        self.rows = rows
        self._max_tokens = max_tokens
        self._budget = budget

    @classmethod
    def load(
        cls,
        graph: Path,
        tokenizer: Path,
        rows: RowTable,
        *,
        max_tokens: int,
        threads: int = 0,
    ) -> Engine:
        """Load graph and tokenizer; `threads` 0 takes all cores. Raises `ArtifactError`."""
        # The library may report its use to its makers; a service for customers' words does not. It
        # reads this when it is imported, and then keeps no device id on disk either.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
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
        return cls(session, loaded, rows, max_tokens=max_tokens)

    def with_rows(self, rows: RowTable) -> Engine:
        """Return an engine that judges by other rows, over the same session."""
        return Engine(
            self._session,
            self._tokenizer,
            rows,
            max_tokens=self._max_tokens,
            budget=self._budget,
        )

    def windows(self, texts: Sequence[str]) -> list[list[Window]]:
        """Return the windows of each text, in the order of the texts; most have one.

        All of them are held at once: a caller with more texts than fit in memory calls by parts.
        """
        encodings = self._tokenizer.encode_batch(list(texts))
        pieces = [piece for n, e in enumerate(encodings) for piece in self._cut(n, e)]
        answers: dict[int, Window] = {}
        for batch in _batches([len(piece.ids) for piece in pieces], budget=self._budget):
            logits, evidence = self._run([pieces[i] for i in batch], outputs=["logits", "evidence"])
            for row, i in enumerate(batch):
                spans = np.array(pieces[i].spans, dtype=np.int64).reshape(-1, 2)
                real = np.flatnonzero(spans[:, 1] > spans[:, 0])
                answers[i] = Window(logits[row], evidence[row][:, real], spans[real])
        found: list[list[Window]] = [[] for _ in texts]
        for i, piece in enumerate(pieces):
            found[piece.text].append(answers[i])
        return found

    def describe(self, texts: Sequence[str]) -> Array:
        """Return the pooled encodings [texts, W] by which untrained labels are known."""
        encodings = self._tokenizer.encode_batch(list(texts))
        pooled = []
        for encoding in encodings:
            piece = _Piece(0, encoding.ids[: self._max_tokens], [])
            (vector,) = self._run([piece], outputs=["pooled"])
            pooled.append(vector[0])
        return np.stack(pooled)

    def _cut(self, text: int, encoding: Encoding) -> list[_Piece]:
        """Return the windows of an encoding; each begins and ends with the special tokens."""
        ids, spans = encoding.ids, encoding.offsets
        if len(ids) <= self._max_tokens:
            return [_Piece(text, ids, spans)]
        room = self._max_tokens - 2
        inner = len(ids) - 2
        step = room - min(OVERLAP_TOKENS, room // 2)
        starts = [*range(0, inner - room, step), inner - room]
        return [
            _Piece(
                text,
                [ids[0], *ids[1 + s : 1 + s + room], ids[-1]],
                [(0, 0), *spans[1 + s : 1 + s + room], (0, 0)],
            )
            for s in starts
        ]

    def _run(self, pieces: Sequence[_Piece], *, outputs: list[str]) -> list[Array]:
        width = max(2, *(len(piece.ids) for piece in pieces))
        ids = np.ones((len(pieces), width), dtype=np.int64)
        mask = np.zeros((len(pieces), width), dtype=np.int64)
        for row, piece in enumerate(pieces):
            ids[row, : len(piece.ids)] = piece.ids
            mask[row, : len(piece.ids)] = 1
        inputs = {
            "input_ids": ids,
            "attention_mask": mask,
            "queries": self.rows.queries,
            "own": self.rows.own,
            "bias": self.rows.bias,
        }
        return list(self._session.run(outputs, inputs))


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


def _batches(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Yield positions in order of length, each batch within the budget of padded tokens."""
    batch: list[int] = []
    for i in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if batch and lengths[i] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
