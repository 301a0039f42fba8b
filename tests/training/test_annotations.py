import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import DataError
from model.taxonomy import load_taxonomy
from tests.training.tiny import TAXONOMY
from training.annotations import text_digest, with_texts, without_text
from training.corpus import read_examples

RECORD = {
    "id": "a",
    "text": "Ruhig 😀, aber dreckig!",
    "language": "de",
    "sentiment": "neutral",
    "labels": [
        {"label": "room.noise", "sentiment": "positive", "evidence": "Ruhig 😀"},
        {"label": "room.clean", "sentiment": "negative", "evidence": "dreckig"},
    ],
    "signals": [],
}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "labels.toml").write_text(TAXONOMY, "utf-8")
    texts, annotations = tmp_path / "texts.jsonl", tmp_path / "annotations.jsonl"
    texts.write_text(json.dumps({key: RECORD[key] for key in ("id", "text")}), "utf-8")

    def write(**changes):
        line = json.dumps({**without_text(RECORD), **changes})
        annotations.write_text(line, "utf-8")
        taxonomy = load_taxonomy(tmp_path / "labels.toml")
        return read_examples(annotations, taxonomy=taxonomy, texts=texts)

    return write


def test_an_annotation_holds_no_word_of_the_text():
    line = json.dumps(without_text(RECORD), ensure_ascii=False)
    assert not any(word in line for word in ("Ruhig", "aber", "dreckig", "😀"))


def test_annotation_and_text_make_the_record_that_was_labelled(files):
    (example,) = files()
    assert example.text == RECORD["text"]
    assert example.language == "de"
    assert example.sentiment == "neutral"
    assert example.signals == frozenset()
    spans = {label: note.evidence for label, note in example.labels.items()}
    assert {label: example.text[slice(*span)] for label, span in spans.items()} == {
        "room.noise": "Ruhig 😀",
        "room.clean": "dreckig",
    }


def test_another_text_under_the_same_id_is_an_error_that_names_it(files):
    with pytest.raises(DataError, match=r"line 1: the text of 'a' .* is not the one"):
        files(digest=text_digest("Ruhig, aber dreckig!"))


def test_a_text_that_is_missing_is_an_error_that_names_it(files):
    with pytest.raises(DataError, match="line 1: no text with the id 'b'"):
        files(id="b")


@pytest.mark.parametrize("place", [(0, 99), (-1, 3), (3, 3), ("0", 3), (0, None)])
def test_offsets_outside_the_text_are_an_error(files, place):
    start, end = place
    row = {"label": "room.noise", "sentiment": "positive", "start": start, "end": end}
    with pytest.raises(DataError, match="start and end must be whole numbers within the 22"):
        files(labels=[row])


def test_labels_must_be_a_list_here_too(files):
    with pytest.raises(DataError, match="labels must be a list"):
        files(labels="room.noise")


@given(st.text(min_size=1), st.data())
def test_any_text_comes_back_with_the_same_words(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    row = {"label": "x", "evidence": text[start:end], "start": start, "end": end}
    record = {"id": "a", "text": text, "labels": [row]}
    numbered = [(1, without_text(record))]
    ((_, joined),) = with_texts(numbered, texts=[(1, record)], file="a", source="t")
    assert joined["text"] == text
    assert joined["labels"] == [row]
