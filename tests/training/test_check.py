import json
import random
import shutil

import pytest
from click.testing import CliRunner

from model.errors import DataError
from tests.training.tiny import comments
from training.check import Place, near_repeats, shingles
from training.commands import data
from training.corpus import Example

LONG = (
    "Das Paket kam drei Tage zu spät, und am Telefon war niemand, der mir helfen konnte. "
    "Beim nächsten Mal bestelle ich lieber gleich im Laden um die Ecke."
)


def placed(*rows):
    return [
        (Place(part, "file", str(number)), Example(id=str(number), text=text, language="de"))
        for number, (part, text) in enumerate(rows)
    ]


@pytest.fixture
def site(project, tmp_path):
    """Return a copy of the tiny project, free to change."""
    shutil.copytree(project.parent, tmp_path / "site")
    return tmp_path / "site"


def write(site, name, rows):
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (site / name).write_text("\n".join(lines), "utf-8")


def run(site, *more):
    head = (site / "run.toml").read_text("utf-8").split("[[train]]")[0]
    parts = [f'[[{part}]]\npath = "{part}.jsonl"\n' for part in ("train", "test")]
    (site / "run.toml").write_text(head + "".join(parts), "utf-8")
    return CliRunner().invoke(data, ["check", str(site / "run.toml"), *more])


@pytest.mark.parametrize(
    "copy",
    [
        LONG,
        LONG.upper(),
        LONG.replace(", ", " - ").removesuffix("."),
        LONG.replace("drei", "vier"),
    ],
)
def test_a_text_that_was_changed_a_little_is_found(copy):
    (pair,) = near_repeats(placed(("train", LONG), ("test", copy), ("train", LONG[::-1])))
    assert {pair.first.id, pair.second.id} == {"0", "1"}
    assert pair.crosses != pair.same
    assert pair.share >= 0.8


def test_texts_on_the_same_topic_are_no_repeats():
    other = "Am Telefon war niemand. Das Paket kam dann doch noch, drei Tage zu spät, aber heil."
    assert near_repeats(placed(("train", LONG), ("test", other))) == []


def test_short_texts_that_many_write_are_no_repeats():
    assert near_repeats(placed(("train", "Alles super!"), ("test", "alles super"))) == []


def test_the_shares_are_those_of_a_comparison_of_all_with_all():
    rng = random.Random(1)
    words = LONG.split()
    texts = []
    for _ in range(60):
        changed = [rng.choice(words) if rng.random() < 0.1 else word for word in words]
        texts.append(" ".join(changed))
    found = {
        (p.first.id, p.second.id): p.share
        for p in near_repeats(placed(*[("train", t) for t in texts]))
    }
    shared = [shingles(text) for text in texts]
    true = {
        (str(i), str(j)): len(a & b) / len(a | b)
        for i, a in enumerate(shared)
        for j, b in enumerate(shared)
        if i < j and len(a & b) / len(a | b) >= 0.8
    }
    assert len(true) > 20
    assert found.items() <= true.items()
    surely = {pair for pair, share in true.items() if share >= 0.9}
    assert surely <= set(found)


def test_comments_that_stand_in_train_and_test_end_the_command_with_1_and_are_named(site):
    rows = comments(40)
    kept = {**rows[0], "id": "copied", "text": f"{rows[0]['text']} {LONG}"}
    write(site, "train.jsonl", [*rows[1:], {**kept, "id": "first", "text": kept["text"] + " Ja"}])
    write(site, "test.jsonl", [kept])
    result = run(site)
    assert result.exit_code == 1
    assert "train:train.jsonl:first and test:test.jsonl:copied" in result.output
    assert LONG not in result.output


def test_clean_data_ends_with_0_and_is_counted(site, tmp_path):
    rows = [
        {"id": "a", "text": "Sehr ruhig", "language": "de", "sentiment": "positive",
         "labels": [{"label": "room.noise", "sentiment": "positive"}], "signals": []},
        {"id": "b", "text": "nichts", "language": "de", "sentiment": "neutral", "labels": []},
    ]  # fmt: skip
    write(site, "train.jsonl", rows)
    write(site, "test.jsonl", [{"text": "loud", "language": "en", "labels": []}])
    result = run(site, "--output", str(tmp_path / "out"))
    assert result.exit_code == 0
    found = json.loads((tmp_path / "out" / "data.json").read_text("utf-8"))
    assert found["pairs"] == []
    assert found["counts"]["train"] == {
        "de": {
            "comments": 2,
            "without a label": 1,
            "comment neutral": 1,
            "comment positive": 1,
            "room.noise": 1,
            "room.noise positive": 1,
        }
    }
    assert found["counts"]["test"]["en"]["comments"] == 1


def test_a_record_that_breaks_the_rules_is_an_error_that_names_its_line(site):
    write(site, "train.jsonl", [{"text": "loud", "labels": [{"label": "room.nois"}]}])
    write(site, "test.jsonl", comments(2))
    result = run(site)
    assert isinstance(result.exception, DataError)
    assert "line 1: unknown label 'room.nois'" in str(result.exception)


def test_an_id_that_stands_twice_in_a_file_is_named(site):
    write(site, "train.jsonl", [{**row, "id": "same"} for row in comments(2)])
    write(site, "test.jsonl", [{**comments(1)[0], "id": "same"}])
    result = run(site)
    assert result.exit_code == 1
    assert "Ids that stand twice: train:train.jsonl:same." in result.output
