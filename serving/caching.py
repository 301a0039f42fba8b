"""Answers to short comments that come again and again ("Top", "alles super"), kept in memory.

What is kept is what the model says of a text; route and review depend on the score and other fields
too, and are made anew each time. A text is kept as it was sent, since evidence counts its
characters. It is personal data: it never leaves the memory of the process, and goes with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from threading import Lock
from typing import NamedTuple

from model.records import Comment, Prediction

Key = tuple[str, str | None]  # text, and the language that the client said


class Counts(NamedTuple):
    """Comments that were short enough to be kept: found there, or read by the model."""

    hits: int
    misses: int


class PredictionCache:
    """Keeps predictions of one model, the least lately used go first. Threads may share it.

    It holds `entries` texts of at most so many `characters` each.
    """

    def __init__(self, *, entries: int, characters: int) -> None:
        self._entries = entries
        self._characters = characters
        self._kept: OrderedDict[Key, Prediction] = OrderedDict()
        self._lock = Lock()
        self._hits = self._misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def predict(
        self,
        comments: Sequence[Comment],
        classify: Callable[[Sequence[Comment]], Sequence[Prediction]],
    ) -> list[Prediction]:
        """Return one prediction per comment, in the same order; `classify` makes those not kept."""
        keys = [self._key(comment) for comment in comments]
        found = self._look_up(keys)
        # The same text twice in a list is read once.
        unknown = {key or place: place for place, key in enumerate(keys) if key not in found}
        read = classify([comments[place] for place in unknown.values()]) if unknown else ()
        made = dict(zip(unknown, read, strict=True))
        self._keep({key: said for key, said in made.items() if isinstance(key, tuple)})
        return [
            found[key] if key in found else made[key or place] for place, key in enumerate(keys)
        ]

    def take_counts(self) -> Counts:
        """Return how often an answer was and was not there, since this was last asked."""
        with self._lock:
            counts = Counts(self._hits, self._misses)
            self._hits = self._misses = 0
            return counts

    def _key(self, comment: Comment) -> Key | None:
        if len(comment.text) > self._characters:
            return None
        return comment.text, comment.language

    def _look_up(self, keys: Sequence[Key | None]) -> dict[Key | None, Prediction]:
        found: dict[Key | None, Prediction] = {}
        with self._lock:
            for key in keys:
                if key is None:
                    continue
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
                    self._hits += 1
                else:
                    self._misses += 1
        return found

    def _keep(self, made: dict[Key, Prediction]) -> None:
        with self._lock:
            self._kept.update(made)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)
