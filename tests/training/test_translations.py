import numpy as np
import pytest

from training.check import Place, between_languages
from training.corpus import Example
from training.encoder import load_tokenizer
from training.translations import MARGIN, sentence_vectors, translations


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_those_that_are_closer_than_all_others_are_paired_and_the_rest_is_not():
    rng = np.random.default_rng(1)
    first = unit(rng.normal(size=(60, 32)) + 1)
    second = unit(rng.normal(size=(80, 32)) + 1)
    second[7] = unit(first[[4]] + 0.02 * rng.normal(size=(1, 32)))[0]
    (found, *_) = translations(first, second)
    assert found[:2] == (4, 7)
    assert found[2] > MARGIN
    others = translations(first, np.delete(second, 7, axis=0))
    assert 4 not in {place for place, _, _ in others}


def test_too_few_texts_have_no_neighbours_to_compare_with():
    rows = unit(np.ones((3, 4)))
    assert translations(rows, rows) == []


def test_vectors_are_of_length_one_and_do_not_hang_on_their_neighbours(parts):
    texts = ["Das Zimmer war laut.", "very clean", "Frühstück kalt und das Zimmer dreckig"]
    together = sentence_vectors(texts, parts.encoder)
    alone = np.concatenate([sentence_vectors([text], parts.encoder) for text in texts])
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert together == pytest.approx(alone, abs=1e-5)


def test_comments_of_one_language_are_never_paired_with_each_other(parts):
    assert load_tokenizer(parts.encoder).get_vocab_size() > 0
    rows = [
        (
            Place("train", "a.jsonl", f"{language}{n}"),
            Example(
                id=f"{language}{n}", text=f"Zimmer Nummer {n * 37} war sehr laut", language=language
            ),
        )
        for language in ("de", "en")
        for n in range(12)
    ]
    for pair in between_languages(rows, parts.encoder):
        assert pair.first.id[:2] != pair.second.id[:2]
