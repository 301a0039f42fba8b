import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import AutoModel

from model.errors import ConfigError
from model.text import clean
from tests.training.tiny import write_encoder
from training.encoder import find_encoder, load_tokenizer
from training.vocabulary import WORD_EMBEDDINGS, cut_vocabulary, is_latin, kept_pieces, used_pieces

ROOT = Path(__file__).parents[2]
OURS = [
    clean(json.loads(line)["text"]).text
    for tag in ("de", "en")
    for line in (ROOT / "data" / "comments" / f"{tag}.jsonl").read_text("utf-8").splitlines()
]
BY_HAND = [
    "",
    "👍",
    "Größe passt, Lieferung war überpünktlich!!! 10/10 👏🏽",
    "I'm done w/ you… 3 wks & no refund (€49,99)",
    "ẞ ø ł ñ ‽ ½ ﬁ \uff12\uff10 😀😃",
    "zu  viele   Leerzeichen\tund\nZeilen",
    "NIE WIEDER. never EVER again",
]
TEXTS = [*OURS, *BY_HAND]


def pieces(tokenizer, text):
    return tokenizer.encode(text).tokens


def states(encoder, tokenizer, text):
    ids = torch.tensor([tokenizer.encode(text).ids[:100]])
    with torch.no_grad():
        return encoder(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state


class Both:
    """An encoder with the full vocabulary and with the cut one."""

    def __init__(self, source, target, *, size):
        self.folder = cut_vocabulary(source, target, texts=TEXTS, size=size)
        self.tokenizers = [load_tokenizer(folder) for folder in (source, self.folder)]
        self.encoders = [
            AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
            for folder in (source, self.folder)
        ]

    def assert_same_pieces(self, text):
        full, cut = (pieces(tokenizer, text) for tokenizer in self.tokenizers)
        assert full == cut

    def assert_same_vectors(self, text):
        full, cut = (
            states(*each, text) for each in zip(self.encoders, self.tokenizers, strict=True)
        )
        assert torch.allclose(full, cut, atol=1e-6)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return a tiny encoder over our comments and as many others, cut to what ours need."""
    folder = tmp_path_factory.mktemp("vocabulary")
    others = [f"Zebra{n} quxx{n % 7}yz flumm{n * 3}ig" for n in range(800)]
    source = write_encoder(folder / "full", [*OURS, *others], vocabulary=2500)
    return Both(source, folder / "cut", size=2350)


def test_a_cut_vocabulary_is_smaller_and_keeps_the_special_pieces_in_place(both):
    full, cut = both.tokenizers
    assert cut.get_vocab_size() <= 2350 < full.get_vocab_size()
    for place, piece in enumerate(("<s>", "<pad>", "</s>", "<unk>")):
        assert cut.token_to_id(piece) == place
    assert both.encoders[1].config.vocab_size == cut.get_vocab_size()
    assert cut.encode("laut").tokens[0] == "<s>"
    assert cut.encode("laut").tokens[-1] == "</s>"


def test_every_counted_text_has_the_same_pieces_in_the_cut_vocabulary(both):
    for text in TEXTS:
        both.assert_same_pieces(text)


def test_every_counted_text_has_the_same_vectors_in_the_cut_encoder(both):
    for text in [*OURS[::10], *BY_HAND]:
        both.assert_same_vectors(text)


WORDS = sorted({word for text in TEXTS for word in text.split()})


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=12).map(" ".join))
def test_new_texts_of_counted_words_have_the_same_pieces_and_vectors_too(both, text):
    both.assert_same_pieces(text)
    both.assert_same_vectors(text)


@pytest.mark.parametrize(
    ("piece", "latin"),
    [
        ("▁Größe", True),
        ("▁", True),
        ("ing", True),
        ("▁3.5", True),
        ("…", True),
        ("😀", True),
        ("Привет", False),
        ("你好", False),
        ("aш", False),
        ("\u03b1", False),
    ],
)
def test_latin_letters_digits_signs_and_emoji_are_told_from_other_scripts(piece, latin):
    assert is_latin(piece) is latin


VOCABULARY = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁gut", -3.0)]
VOCABULARY += [("ß", -9.0), ("▁schlecht", -2.0), ("▁da", -1.0), ("你好", -1.0), ("ш", -1.0)]


def test_kept_are_special_and_used_pieces_then_single_signs_then_the_likeliest():
    counts = np.zeros(10, dtype=np.int64)
    counts[9] = 1  # used, whatever its script
    assert kept_pieces(VOCABULARY, counts, size=7) == [0, 1, 2, 3, 5, 7, 9]
    assert kept_pieces(VOCABULARY, counts, size=50) == [0, 1, 2, 3, 4, 5, 6, 7, 9]


def test_a_size_that_the_texts_alone_exceed_is_refused():
    with pytest.raises(ConfigError, match=r"vocabulary size 5 is too small: .* use 6 pieces"):
        kept_pieces(VOCABULARY, np.eye(10, dtype=np.int64)[9], size=5)


def test_pieces_are_counted_as_often_as_they_are_used(both):
    tokenizer = both.tokenizers[0]
    counts = used_pieces(tokenizer, ["laut laut", "laut"])
    (piece,) = {piece for piece in tokenizer.encode("laut", add_special_tokens=False).ids[-1:]}
    assert counts[piece] == 3
    assert counts.sum() == 3 * len(tokenizer.encode("laut", add_special_tokens=False).ids)


def test_special_pieces_are_renumbered_where_those_before_them_are_cut(tmp_path):
    vocabulary = [("ш", -3.0), ("▁a", -1.0), ("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0)]
    full = Tokenizer(Unigram([*vocabulary, ("<unk>", 0.0), ("b", -2.0)], unk_id=5))
    full.pre_tokenizer = pre_tokenizers.Metaspace()
    full.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    full.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 4)]
    )
    full.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "config.json").write_text('{"vocab_size": 7}', "utf-8")
    table = torch.arange(7.0)[:, None]
    save_file({WORD_EMBEDDINGS: table}, tmp_path / "model.safetensors")
    folder = cut_vocabulary(tmp_path, tmp_path / "cut", texts=["ab"], size=6)
    cut = load_tokenizer(folder)
    kept = load_file(folder / "model.safetensors")[WORD_EMBEDDINGS]
    for text in ("ab", "a b", "a€"):
        old, new = full.encode(text), cut.encode(text)
        assert new.tokens == old.tokens
        assert kept[new.ids, 0].tolist() == old.ids
    assert cut.encode("ш").ids[-2] == cut.token_to_id("<unk>") == 4  # no longer known


def test_a_vocabulary_that_is_no_unigram_one_is_refused(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "WordPiece"}}', "utf-8")
    with pytest.raises(ConfigError, match=r"only unigram .* leave \[vocabulary\] out"):
        cut_vocabulary(tmp_path, tmp_path / "cut", texts=[], size=100)


@pytest.mark.slow
def test_the_real_encoder_reads_every_counted_text_as_before_the_cut(tmp_path):
    source = find_encoder("intfloat/multilingual-e5-small", cache=ROOT / "data" / "local")
    both = Both(source, tmp_path / "cut", size=30_000)
    for text in TEXTS:
        both.assert_same_pieces(text)
    for text in [*OURS[::10], *BY_HAND]:
        both.assert_same_vectors(text)
