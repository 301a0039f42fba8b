import json
from pathlib import Path

import pytest

from model.errors import DataError
from model.records import LabelScore, Prediction
from model.taxonomy import load_taxonomy
from training.behaviour import made_pairs, read_pairs, try_pairs
from training.corpus import text_key

PAIR = {
    "id": "a",
    "language": "de",
    "kind": "negation",
    "expect": "differ",
    "first": "Das Zimmer war laut.",
    "second": "Das Zimmer war nicht laut.",
    "about": "room.noise",
}


def written(tmp_path, *records):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps({**PAIR, **record}) for record in records), "utf-8")
    return path


class Hears:
    """Hears noise where the word stands, and knows one negation."""

    def classify(self, comments):
        return [self._read(comment.text) for comment in comments]

    def _read(self, text):
        found = "laut" in text
        mood = "positive" if "nicht" in text else "negative"
        label = LabelScore(
            label="room.noise",
            area="room",
            sentiment=mood,
            confidence=1.0,
            sentiment_confidence=1.0,
        )
        labels = (label,) if found else ()
        return Prediction(language="de", sentiment=mood, confidence=1.0, labels=labels)


def test_what_must_turn_and_turns_holds_and_what_stays_fails(tmp_path, parts):
    path = written(
        tmp_path,
        {},
        {"id": "b", "second": "Das Zimmer war wirklich laut."},
        {"id": "c", "first": "Das Zimmer war schön.", "second": "Das Zimmer war nicht schön."},
    )
    found = try_pairs(Hears(), read_pairs(path, taxonomy=parts.taxonomy))
    assert found["de"]["negation"].failed == ["b", "c"]  # c: there was no label that could turn
    assert found["de"]["negation"].rate == pytest.approx(2 / 3)


def test_what_must_stay_and_changes_fails(tmp_path, parts):
    path = written(
        tmp_path,
        {"kind": "city", "expect": "same", "second": "Das Zimmer in Ulm war laut."},
        {"id": "b", "kind": "city", "expect": "same", "second": "Das Zimmer in Ulm."},
    )
    found = try_pairs(Hears(), read_pairs(path, taxonomy=parts.taxonomy))
    assert found["de"]["city"].failed == ["b"]
    assert found["de"]["city"].tried == 2


def test_slips_case_umlauts_and_punctuation_are_made_by_code(tmp_path, parts):
    (pair,) = read_pairs(
        written(tmp_path, {"first": "Das Frühstück war laut!"}), taxonomy=parts.taxonomy
    )
    made = {found.kind: found.second for found in made_pairs([pair])}
    assert made == {
        "typo": "Das Früshtück war laut!",
        "lower-case": "das frühstück war laut!",
        "upper-case": "DAS FRÜHSTÜCK WAR LAUT!",
        "no-umlauts": "Das Fruehstueck war laut!",
        "no-punctuation": "Das Frühstück war laut",
    }
    assert {found.expect for found in made_pairs([pair])} == {"same"}


def test_a_text_that_a_change_leaves_alone_makes_no_pair(tmp_path, parts):
    (pair,) = read_pairs(written(tmp_path, {"first": "laut"}), taxonomy=parts.taxonomy)
    assert {found.kind for found in made_pairs([pair])} == {"upper-case"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"abuot": "x"}, r"unknown key 'abuot'; did you mean 'about'\?"),
        ({"about": "room.noize"}, r"unknown label 'room\.noize'; did you mean 'room\.noise'\?"),
        ({"expect": "maybe"}, "expect must be 'same' or 'differ'"),
        ({"second": ""}, "second is missing or no text"),
        ({"second": PAIR["first"]}, "both texts are the same"),
    ],
)
def test_a_mistake_in_a_pair_is_named_with_its_line(change, says, tmp_path, parts):
    with pytest.raises(DataError, match=f"line 2: {says}"):
        read_pairs(written(tmp_path, {}, {"id": "b", **change}), taxonomy=parts.taxonomy)


def test_an_id_that_stands_twice_is_named(tmp_path, parts):
    with pytest.raises(DataError, match="line 2: the id 'a' stands twice"):
        read_pairs(written(tmp_path, {}, {"kind": "other"}), taxonomy=parts.taxonomy)


def test_the_shipped_pairs_are_read_and_cover_both_languages():
    folder = Path(__file__).parents[2] / "data" / "behaviour"
    for language in ("de", "en"):
        pairs = read_pairs(folder / f"{language}.jsonl", taxonomy=load_taxonomy())
        kinds = {pair.kind for pair in pairs} | {pair.kind for pair in made_pairs(pairs)}
        assert len(kinds) >= 15
        assert {pair.language for pair in pairs} == {language}


@pytest.mark.parametrize("language", ["de", "en"])
def test_no_text_of_a_shipped_pair_is_among_those_that_the_model_learns_from(language):
    folder = Path(__file__).parents[2] / "data"
    pairs = read_pairs(folder / "behaviour" / f"{language}.jsonl", taxonomy=load_taxonomy())
    texts = {text_key(text) for pair in pairs for text in (pair.first, pair.second)}
    lines = (folder / "comments" / f"{language}.jsonl").read_text("utf-8").splitlines()
    assert not texts & {text_key(json.loads(line)["text"]) for line in lines}
