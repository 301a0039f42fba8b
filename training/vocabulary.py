"""Cut an encoder's vocabulary to the pieces that the wanted languages need.

A unigram tokenizer (Kudo 2018, arXiv:1804.10959) picks the segmentation with the highest sum of
piece scores. Taking away pieces that no best segmentation uses changes nothing, so for every text
whose pieces are all kept the cut tokenizer gives the same pieces and the encoder the same vectors.

Kept are, in this order: special pieces; every piece that the given texts use; single characters of
Latin script, digits, punctuation and emoji; then the Latin-script pieces with the highest scores.
"""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from model.errors import ConfigError

WORD_EMBEDDINGS = "embeddings.word_embeddings.weight"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_BATCH = 2000
_PLAIN = frozenset(
    {"Nd", "Po", "Ps", "Pe", "Pd", "Pc", "Pi", "Pf", "Sm", "Sc", "Sk", "So", "No", "Mn"}
)


def used_pieces(tokenizer: Tokenizer, texts: Iterable[str]) -> npt.NDArray[np.int64]:
    """Return how often each piece is used by `texts`: counts by piece id."""
    counts = np.zeros(tokenizer.get_vocab_size(), dtype=np.int64)
    rows = iter(texts)
    while batch := list(islice(rows, _BATCH)):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            np.add.at(counts, encoding.ids, 1)
    return counts


def is_latin(piece: str) -> bool:
    """Tell whether a piece holds nothing but Latin letters, digits, punctuation and symbols."""
    return all(
        unicodedata.category(sign) in _PLAIN or "LATIN" in unicodedata.name(sign, "")
        for sign in piece.replace("▁", "")
    )


def kept_pieces(
    vocabulary: list[tuple[str, float]], counts: npt.NDArray[np.int64], *, size: int
) -> list[int]:
    """Return the ids of the pieces to keep, rising. Raises `ConfigError` if `size` is too small."""
    must = {i for i, (piece, _) in enumerate(vocabulary) if piece in SPECIAL}
    must |= {int(i) for i in np.flatnonzero(counts) if i < len(vocabulary)}
    latin = [i for i, (piece, _) in enumerate(vocabulary) if i not in must and is_latin(piece)]
    must |= {i for i in latin if len(vocabulary[i][0]) == 1}
    if len(must) > size:
        raise ConfigError(
            f"vocabulary size {size} is too small: the texts alone use {len(must)} pieces"
        )
    rest = sorted((i for i in latin if i not in must), key=lambda i: -vocabulary[i][1])
    return sorted(must | set(rest[: size - len(must)]))


def cut_vocabulary(source: Path, target: Path, *, texts: Iterable[str], size: int) -> Path:
    """Write the encoder in `source` with at most `size` pieces to `target`; return `target`.

    Raises `ConfigError` where the tokenizer is no unigram one.
    """
    spec: dict[str, Any] = json.loads((source / "tokenizer.json").read_text("utf-8"))
    if spec["model"].get("type") != "Unigram":
        raise ConfigError(
            f"{source}: only unigram vocabularies can be cut, this one is "
            f"{spec['model'].get('type')!r}; leave [vocabulary] out of the run file"
        )
    full = Tokenizer.from_file(str(source / "tokenizer.json"))
    full.no_padding()
    full.no_truncation()
    vocabulary = [(piece, score) for piece, score in spec["model"]["vocab"]]
    kept = kept_pieces(vocabulary, used_pieces(full, texts), size=size)
    target.mkdir(parents=True, exist_ok=True)
    cut = _cut_specification(spec, vocabulary, kept)
    (target / "tokenizer.json").write_text(json.dumps(cut, ensure_ascii=False), "utf-8")
    tensors = load_file(source / "model.safetensors")
    (name,) = [key for key in tensors if key.endswith(WORD_EMBEDDINGS)]
    tensors[name] = tensors[name][kept].contiguous()
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text("utf-8"))
    config["vocab_size"] = len(kept)
    (target / "config.json").write_text(json.dumps(config, indent=2), "utf-8")
    for extra in source.glob("LICENSE*"):
        shutil.copy(extra, target)
    return target


def _cut_specification(
    spec: dict[str, Any], vocabulary: list[tuple[str, float]], kept: list[int]
) -> dict[str, Any]:
    new_id = {old: new for new, old in enumerate(kept)}
    cut = dict(spec)
    cut["model"] = dict(spec["model"])
    cut["model"]["vocab"] = [list(vocabulary[i]) for i in kept]
    cut["model"]["unk_id"] = new_id[spec["model"]["unk_id"]]
    cut["added_tokens"] = [
        {**token, "id": new_id[token["id"]]}
        for token in spec["added_tokens"]
        if token["id"] in new_id
    ]
    cut["padding"] = cut["truncation"] = None
    if cut.get("post_processor"):
        cut["post_processor"] = _renumbered(spec["post_processor"], new_id)
    return cut


def _renumbered(processor: dict[str, Any], new_id: dict[int, int]) -> dict[str, Any]:
    """Give the special tokens of a template their new ids."""
    renumbered = dict(processor)
    if "special_tokens" in processor:
        renumbered["special_tokens"] = {
            name: {**token, "ids": [new_id[i] for i in token["ids"]]}
            for name, token in processor["special_tokens"].items()
        }
    for end in ("sep", "cls"):
        if end in processor:
            piece, old = processor[end]
            renumbered[end] = [piece, new_id[old]]
    return renumbered
