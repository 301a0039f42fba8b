import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import DataError
from model.taxonomy import load_taxonomy
from tests.training.tiny import TAXONOMY
from training.corpus import (
    Example,
    LabelNote,
    load_mapping,
    read_examples,
    text_key,
    without_repeats,
)

MAPPING = """
absent = ["room.noise"]
[labels.hygiene]
any_of = ["room.clean"]
weight = 0.9
[labels.stay]
any_of = ["room"]
[labels.meals]
any_of = ["food"]
"""


@pytest.fixture
def taxonomy(tmp_path):
    (tmp_path / "labels.toml").write_text(TAXONOMY, "utf-8")
    return load_taxonomy(tmp_path / "labels.toml")


@pytest.fixture
def read(tmp_path, taxonomy):
    def read(*records, mapping=None):
        file = tmp_path / "comments.jsonl"
        lines = [r if isinstance(r, bytes) else json.dumps(r).encode() for r in records]
        file.write_bytes(b"\n".join(lines))
        return read_examples(file, taxonomy=taxonomy, mapping=mapping)

    return read


@pytest.fixture
def mapping(tmp_path, taxonomy):
    file = tmp_path / "map.toml"
    file.write_text(MAPPING, "utf-8")
    return load_mapping(file, taxonomy=taxonomy)


def test_a_full_record_says_what_is_there_and_what_is_not(read):
    (example,) = read(
        {
            "id": "a",
            "text": "Ruhig 😀, aber dreckig!",
            "language": "de",
            "score": 3,
            "sentiment": "negative",
            "labels": [
                {"label": "room.clean", "sentiment": "negative", "evidence": "dreckig"},
                {"label": "room.noise", "sentiment": "positive"},
            ],
            "signals": ["pest"],
        }
    )
    assert example.labels == {
        "room.clean": LabelNote(sentiment="negative", evidence=(14, 21)),
        "room.noise": LabelNote(sentiment="positive"),
    }
    assert example.text[14:21] == "dreckig"
    assert example.absent == {"food.breakfast"}
    assert (example.signals, example.score, example.is_full) == ({"pest"}, 3, True)


def test_what_is_not_annotated_stays_open(read):
    bare, unlabelled, quiet = read(
        {"text": "So loud"}, {"text": "OK", "labels": []}, {"text": "Gut", "signals": []}
    )
    assert (bare.labels, bare.absent, bare.signals, bare.sentiment) == ({}, frozenset(), None, None)
    assert not bare.is_full
    assert unlabelled.absent == {"room.clean", "room.noise", "food.breakfast"}
    assert unlabelled.is_full
    assert (quiet.absent, quiet.signals) == (frozenset(), frozenset())
    assert [example.id for example in (bare, unlabelled, quiet)] == ["1", "2", "3"]


def test_of_words_that_stand_twice_the_first_are_meant_unless_offsets_say_otherwise(read):
    note = {"label": "room.noise", "evidence": "laut"}
    first, second = read(
        {"text": "laut, laut", "labels": [note]},
        {"text": "laut, laut", "labels": [{**note, "start": 6, "end": 10}]},
    )
    assert first.labels["room.noise"].evidence == (0, 4)
    assert second.labels["room.noise"].evidence == (6, 10)


NOISE = {"label": "room.noise", "evidence": "laut"}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (b"{", "not valid JSON"),
        (b'{"text": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"text": "sch\xf6n"}', "not UTF-8; save the file as UTF-8"),
        ([], "object with a string in 'text'"),
        ({"text": 5}, "object with a string in 'text'"),
        ({"text": "x", "score": 11}, "score must be a whole number from 0 to 10, not 11"),
        ({"text": "x", "score": True}, "score must be a whole number"),
        ({"text": "x", "sentiment": "good"}, "sentiment 'good'; known are: negative, neutral"),
        ({"text": "x", "labels": {}}, "labels must be a list"),
        ({"text": "x", "labels": ["room.noise"]}, "labels must be a list of objects"),
        ({"text": "x", "labels": [{"label": "room.nois"}]}, "did you mean 'room.noise'?"),
        ({"text": "laut", "labels": [NOISE, NOISE]}, "'room.noise' stands twice"),
        ({"text": "ruhig", "labels": [NOISE]}, "evidence is not found in the text"),
        ({"text": "laut", "labels": [{**NOISE, "start": 1, "end": 5}]}, "evidence is not found"),
        ({"text": "laut", "labels": [{**NOISE, "start": -4, "end": 4}]}, "evidence is not found"),
        ({"text": "laut", "labels": [{**NOISE, "start": 0}]}, "start and end must both be"),
        ({"text": "laut", "labels": [{**NOISE, "start": "0", "end": "4"}]}, "start and end must"),
        ({"text": "laut", "labels": [{"label": "room.noise", "evidence": ""}]}, "must be words"),
        ({"text": "laut", "labels": [{"label": "room.noise", "evidence": 7}]}, "must be words"),
        ({"text": "x", "signals": ["pests"]}, "did you mean 'pest'?"),
        ({"text": "x", "signals": "pest"}, "signals must be a list"),
        ({"text": "x", "signals": [["pest"]]}, "unknown signal"),
        ({"text": "x", "properties": "web"}, "properties must be an object"),
    ],
)
def test_a_record_that_breaks_the_rules_is_named_by_its_line(record, says, read):
    with pytest.raises(DataError) as caught:
        read({"text": "fine"}, b"", record)
    message = str(caught.value)
    assert "comments.jsonl: line 3" in message
    assert says in message
    assert "\n" not in message


def test_an_error_never_holds_the_text_of_a_comment(read):
    with pytest.raises(DataError) as caught:
        read({"text": "Frau Muster war unfreundlich", "labels": [NOISE]})
    assert "Muster" not in str(caught.value)


def test_a_file_without_a_comment_is_an_error(read):
    with pytest.raises(DataError, match="holds no labelled comment"):
        read(b"", b"  ")


def test_a_coarse_label_leads_to_one_of_several_and_leaves_the_rest_open(read, mapping):
    (example,) = read(
        {
            "text": "Great stay, filthy though",
            "labels": [
                {"label": "stay", "sentiment": "positive"},
                {"label": "hygiene", "sentiment": "negative"},
            ],
        },
        mapping=mapping,
    )
    assert example.labels == {"room.clean": LabelNote(sentiment="negative", weight=0.9)}
    (union,) = example.any_of
    assert (union.labels, union.sentiment) == (("room.clean", "room.noise"), "positive")
    assert example.absent == frozenset()  # noise may be what is meant; of meals nothing is known
    assert example.judged == {
        ("room.clean",): True,
        ("room.clean", "room.noise"): True,
        ("food.breakfast",): False,
    }
    assert not example.is_full


def test_a_coarse_label_that_is_not_there_tells_only_what_the_mapping_says(read, mapping):
    (example,) = read({"text": "Frühstück top", "labels": [{"label": "meals"}]}, mapping=mapping)
    assert example.absent == {"room.noise"}
    assert example.signals is None


def test_good_and_bad_said_of_one_topic_is_neutral(read, mapping):
    rows = [{"label": "hygiene", "sentiment": mood} for mood in ("positive", "negative")]
    (example,) = read({"text": "clean room, filthy bath", "labels": rows}, mapping=mapping)
    assert example.labels["room.clean"].sentiment == "neutral"


def test_a_complete_mapping_tells_of_every_label_whether_it_is_there(read, tmp_path, taxonomy):
    file = tmp_path / "map.toml"
    rows = [
        f'[labels.{label.partition(".")[2]}]\nany_of = ["{label}"]' for label in taxonomy.labels
    ]
    file.write_text("complete = true\n" + "\n".join(rows), "utf-8")
    mapping = load_mapping(file, taxonomy=taxonomy)
    moods = [{"label": "clean", "sentiment": mood} for mood in ("positive", "negative")]
    (example,) = read({"text": "clean room, filthy bath", "labels": moods}, mapping=mapping)
    assert example.is_full
    assert example.labels["room.clean"].sentiment == "neutral"
    assert example.absent == set(taxonomy.labels) - {"room.clean"}
    assert example.signals is None


def test_a_foreign_label_that_is_not_mapped_is_named(read, mapping):
    with pytest.raises(DataError, match=r"line 1: unmapped label 'meal'; did you mean 'meals'\?"):
        read({"text": "x", "labels": [{"label": "meal"}]}, mapping=mapping)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"\[labels\] maps no label"),
        ("[label.a]\nany_of = ['room']", r"unknown key 'label'; did you mean 'labels'\?"),
        ("[labels.a]\nanyof = ['room']", r"did you mean 'any_of'\?"),
        ("[labels.a]\nany_of = ['roomm']", r"unknown label or area 'roomm'; did you mean 'room'\?"),
        ("[labels.a]\nany_of = []", "needs any_of"),
        ("complete = 1\n[labels.a]\nany_of = ['room.clean']", "complete must be true or false"),
        ("complete = true\n[labels.a]\nany_of = ['room']", "any_of with one label each"),
        ("[labels.a]\nany_of = ['room']\nweight = 2", "weight over 0, up to 1"),
        ("absent = ['x.y']\n[labels.a]\nany_of = ['room']", "absent: unknown label or area"),
    ],
)
def test_a_mistake_in_a_mapping_is_named_with_file_and_key(text, says, tmp_path, taxonomy):
    file = tmp_path / "map.toml"
    file.write_text(text, "utf-8")
    with pytest.raises(DataError, match=says) as caught:
        load_mapping(file, taxonomy=taxonomy)
    assert str(caught.value).startswith(str(file))


def full(text, **more):
    return Example(id="f", text=text, language="de", absent=frozenset({"room.clean"}), **more)


def coarse(text):
    return Example(id="c", text=text, language="de", judged={("room.clean",): False})


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_annotations_of_one_text_the_full_one_wins(order):
    pair = [full("Alles laut!"), coarse("alles  LAUT")][::order]
    assert [example.id for example in without_repeats(pair)] == ["f"]


def test_a_held_out_text_is_dropped_however_it_is_written():
    held_out = [full("Zu laut, zu teuer!"), full("👍")]
    texts = ["zu laut zu TEUER", "👍", "👎", "zu leise"]
    kept = without_repeats([full(text) for text in texts], held_out=held_out)
    assert [example.text for example in kept] == ["👎", "zu leise"]


@given(
    st.lists(st.text(alphabet="aAäÄß !👍", max_size=4)), st.lists(st.text("aAäÄß !", max_size=3))
)
def test_no_held_out_text_is_ever_kept_and_none_is_kept_twice(texts, held_out):
    held = [full(text) for text in held_out]
    kept = without_repeats([full(text) for text in texts], held_out=held)
    keys = [text_key(example.text) or example.text for example in kept]
    banned = {text_key(text) or text for text in held_out}
    assert len(set(keys)) == len(keys)
    assert not banned & set(keys)
    assert banned | set(keys) >= {text_key(text) or text for text in texts}
