"""Reading: from comments to the logits of their rows, part by part of a long list.

A comment is cleaned, an over-long one cut to its head and tail, and the engine reads what is left,
in one window or several. Of several each row has the one in which it is strongest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.artifact import COMMENT
from model.calibration import presence_log_odds, signal_log_odds
from model.engine import Engine, Pending, Window
from model.evidence import MARGIN
from model.records import Comment
from model.text import CleanText, calm, clean

Array = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
WORD_CHARACTERS = 60  # how far a head or tail is shortened so as not to cut a word
CHUNK_CHARACTERS = 250_000  # read at a time: about 1,000 comments, and some 20 MB of evidence


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a comment that is read: the whole, or head and tail of an over-long one."""

    offset: int
    text: CleanText


@dataclass(frozen=True, slots=True)
class Reading:
    """What the network says of some comments, before any calibration.

    `logits` [N, R, 4] are those of the window in which a row is strongest, `strongest` [N, R] says
    which it is; the comment's own row has the mean of all windows. Windows without a token are left
    out of `windows`.
    """

    comments: Sequence[Comment]
    windows: Sequence[Sequence[tuple[Stretch, Window]]]
    logits: Array
    strongest: Places


@dataclass(frozen=True, slots=True)
class _Started:
    """Comments that the engine is reading, with their stretches."""

    comments: Sequence[Comment]
    parts: Sequence[Sequence[Stretch]]
    pending: Pending


class Reader:
    """Reads comments by an engine. Several threads may call `read` at once."""

    def __init__(self, engine: Engine, *, max_characters: int) -> None:
        self._engine = engine
        self._max_characters = max_characters
        ids = engine.rows.ids
        self._comment = ids.index(COMMENT)
        self._signals = [row for row, name in enumerate(ids) if name.startswith("signal:")]

    def read(self, comments: Sequence[Comment]) -> Iterator[Reading]:
        """Yield readings of parts of the list, in order; long lists are cut, to bound memory.

        A part is started before the one ahead of it is handed over, so that an engine with workers
        of its own has something to do while the caller judges.
        """
        ahead: _Started | None = None
        for chunk in _chunks(comments):
            started = self._start(chunk)
            if ahead is not None:
                yield self._finish(ahead)
            ahead = started
        if ahead is not None:
            yield self._finish(ahead)

    def _start(self, comments: Sequence[Comment]) -> _Started:
        parts = [self._stretches(comment.text) for comment in comments]
        texts = [calm(stretch.text.text) for stretches in parts for stretch in stretches]
        return _Started(comments, parts, self._engine.begin(texts))

    def _finish(self, started: _Started) -> Reading:
        answers = iter(started.pending.windows())
        every = [[(s, w) for s in stretches for w in next(answers)] for stretches in started.parts]
        read = [[pair for pair in windows if len(pair[1].spans)] for windows in every]
        asked = [some or all_of_them for some, all_of_them in zip(read, every, strict=True)]
        logits = np.stack([windows[0][1].logits for windows in asked])
        strongest = np.zeros(logits.shape[:2], dtype=np.int64)
        for place, windows in enumerate(asked):
            if len(windows) > 1:
                stacked = np.stack([window.logits for _, window in windows])
                logits[place], strongest[place] = self._strongest(stacked)
        return Reading(started.comments, read, logits, strongest)

    def _strongest(self, logits: Array) -> tuple[Array, Places]:
        """Return the logits of each row's strongest window [R, 4], and which that is [R]."""
        strength = presence_log_odds(logits)
        strength[:, self._signals] = signal_log_odds(logits[:, self._signals])
        # The first of windows that are alike: rounding does not choose between them.
        strongest = (strength >= strength.max(0) - MARGIN).argmax(0)
        chosen = logits[strongest, np.arange(logits.shape[1])]
        chosen[self._comment] = logits[:, self._comment].mean(0)
        return chosen, strongest

    def _stretches(self, text: str) -> list[Stretch]:
        if len(text) <= self._max_characters:
            return [Stretch(0, clean(text))]
        half = self._max_characters // 2
        head, tail = half, len(text) - half
        before = range(head, max(0, head - WORD_CHARACTERS), -1)
        after = range(tail, min(len(text), tail + WORD_CHARACTERS))
        head = next((place for place in before if text[place].isspace()), head)
        tail = next((place for place in after if text[place].isspace()), tail)
        return [Stretch(0, clean(text[:head])), Stretch(tail, clean(text[tail:]))]


def _chunks(comments: Sequence[Comment]) -> Iterator[Sequence[Comment]]:
    """Yield parts of the list that have `CHUNK_CHARACTERS` in all, or a single comment."""
    start = size = 0
    for place, comment in enumerate(comments):
        size += len(comment.text)
        if size > CHUNK_CHARACTERS and place > start:
            yield comments[start:place]
            start, size = place, len(comment.text)
    if start < len(comments):
        yield comments[start:]
