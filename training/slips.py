"""Slips of the pen: a training comment as a hasty customer might have typed it.

Every slip keeps the length of the text, so that evidence stays where it is. The pairs of
`data/behaviour/` judge what comes of it; their slips are made elsewhere and by other rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from training.corpus import Example

_WORD = re.compile(r"[^\W\d_]{4,}")
_PUNCTUATION = re.compile(r"[.,;:!?'\"-]+(?=\s|$)")
_UMLAUTS = str.maketrans("äöüÄÖÜß", "aouAOUs")
# Neighbours on a German keyboard; a slip hits one of them.
_KEYS = ("qwertzuiop", "asdfghjkl", "yxcvbnm")
_NEIGHBOURS = {
    key: [row[i] for i in (place - 1, place + 1) if 0 <= i < len(row)]
    for row in _KEYS
    for place, key in enumerate(row)
}
WORDS_A_SLIP = 8  # a hasty writer slips in one of so many words


def slipped(example: Example, rng: np.random.Generator) -> Example:
    """Return the example with one or two kinds of slips; labels and offsets stay as they are."""
    text = example.text
    kinds: Sequence[Callable[[str, np.random.Generator], str]] = (
        _typos,
        _lower,
        _no_umlauts,
        _no_punctuation,
    )
    for kind in rng.permutation(len(kinds))[: rng.integers(1, 3)]:
        text = kinds[kind](text, rng)
    return replace(example, text=text)


def _typos(text: str, rng: np.random.Generator) -> str:
    """Return the text with letters swapped, or hit beside the right key, inside a few words."""
    found = list(_WORD.finditer(text))
    if not found:
        return text
    chars = list(text)
    for at in rng.permutation(len(found))[: max(1, len(found) // WORDS_A_SLIP)]:
        place = int(rng.integers(found[at].start() + 1, found[at].end() - 1))
        beside = _NEIGHBOURS.get(chars[place])
        if beside and rng.random() < 0.5:
            chars[place] = beside[int(rng.integers(len(beside)))]
        else:
            chars[place], chars[place + 1] = chars[place + 1], chars[place]
    return "".join(chars)


def _lower(text: str, rng: np.random.Generator) -> str:
    del rng
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def _no_umlauts(text: str, rng: np.random.Generator) -> str:
    del rng
    return text.translate(_UMLAUTS)


def _no_punctuation(text: str, rng: np.random.Generator) -> str:
    del rng
    return _PUNCTUATION.sub(lambda match: " " * len(match[0]), text)
