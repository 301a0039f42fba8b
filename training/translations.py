"""Comments that say the same in two languages: near repeats that share no letters.

Sentence vectors are mean token states of the run's pretrained encoder. Two comments are proposed by
the ratio margin (Artetxe and Schwenk 2019, arXiv:1811.01136): their cosine over the mean cosine of
both with their nearest neighbours in the other language, since cosines alone mean little.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from transformers import AutoModel

from model.text import clean
from training.encoder import load_tokenizer
from training.features import pad_id

log = logging.getLogger(__name__)
Vectors = npt.NDArray[np.float32]
# Measured on 800 reviews and chats with their translations: four of five reach it with their own,
# one unrelated text in a thousand with its best.
MARGIN = 1.035
NEIGHBOURS = 4
TOKENS = 128  # of a comment that are read: a translation differs from its first sentence on
_BATCH = 64
_PREFIX = "query: "  # what the encoder was pretrained with


def sentence_vectors(texts: Sequence[str], encoder: Path) -> Vectors:
    """Return a vector of length 1 for each text [texts, width]."""
    tokenizer = load_tokenizer(encoder)
    ids = [e.ids[:TOKENS] for e in tokenizer.encode_batch([_PREFIX + clean(t).text for t in texts])]
    network = AutoModel.from_pretrained(encoder).eval()
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    found: dict[int, Vectors] = {}
    with torch.no_grad():
        for start in range(0, len(order), _BATCH):
            places = order[start : start + _BATCH]
            longest = max(len(ids[place]) for place in places)
            tokens = torch.full((len(places), longest), pad_id(tokenizer))
            mask = torch.zeros((len(places), longest), dtype=torch.long)
            for row, place in enumerate(places):
                tokens[row, : len(ids[place])] = torch.tensor(ids[place])
                mask[row, : len(ids[place])] = 1
            states = network(input_ids=tokens, attention_mask=mask).last_hidden_state
            summed = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
            vectors = torch.nn.functional.normalize(summed, dim=1).numpy()
            found.update(zip(places, vectors, strict=True))
    return np.stack([found[place] for place in range(len(ids))])


def translations(first: Vectors, second: Vectors) -> list[tuple[int, int, float]]:
    """Return pairs (place in first, place in second, margin) over `MARGIN`, the surest first.

    Each is the other's best: [N, W] and [M, W] of vectors of length 1.
    """
    if min(len(first), len(second)) <= NEIGHBOURS:
        return []
    cosines = first @ second.T
    near_first = np.partition(cosines, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS:].mean(1)
    near_second = np.partition(cosines, -NEIGHBOURS, axis=0)[-NEIGHBOURS:].mean(0)
    margins = cosines / ((near_first[:, None] + near_second[None, :]) / 2)
    best, back = margins.argmax(1), margins.argmax(0)
    pairs = [
        (place, int(other), float(margins[place, other]))
        for place, other in enumerate(best)
        if back[other] == place and margins[place, other] >= MARGIN
    ]
    return sorted(pairs, key=lambda pair: -pair[2])
