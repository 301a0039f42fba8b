from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from model.errors import DataError
from serving import bulk, service
from serving.writers import RESULT_FIELDS
from tests.fakes import WordClassifier, word_service

pytestmark = pytest.mark.usefixtures("words")


@pytest.fixture
def words(monkeypatch):
    """The command with a classifier that needs no weights."""
    monkeypatch.setattr(service, "load_service", lambda settings: word_service())


def run(*arguments: object, stdin: bytes | None = None):
    result = CliRunner().invoke(bulk.classify, [str(a) for a in arguments], input=stdin)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def run_jsonl(tmp_path: Path, text: str, *options: str) -> list[dict[str, object]]:
    (tmp_path / "in.jsonl").write_text(text, "utf-8")
    run(tmp_path / "in.jsonl", "--output", tmp_path / "out.jsonl", *options)
    return read_jsonl(tmp_path / "out.jsonl")


def read_jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_csv(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    text = path.read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def test_jsonl_comes_back_in_order_with_the_answer_of_the_api(tmp_path):
    lines = [
        {"id": n, "comment": "kaputt" if n % 2 else "fast", "shop": "Köln"} for n in range(1500)
    ]
    records = run_jsonl(tmp_path, "".join(json.dumps(line) + "\n" for line in lines))
    assert [r["id"] for r in records] == [str(n) for n in range(1500)]
    assert [r["labels"][0]["label"] for r in records[:2]] == ["delivery.speed", "product.quality"]
    first = records[0]
    assert first["shop"] == "Köln"
    assert first["comment"] == "fast"
    assert first["model"] == "words-1"
    assert first["taxonomy"] == word_service().fingerprint
    assert list(first)[:3] == ["id", "comment", "shop"]


def test_columns_that_clash_give_way_to_the_answer(tmp_path):
    line = json.dumps({"comment": "fast", "labels": ["old"], "sentiment": "old", "model": "old"})
    (record,) = run_jsonl(tmp_path, line)
    assert record["labels"][0]["label"] == "delivery.speed"
    assert (record["sentiment"], record["model"]) == ("positive", "words-1")


def test_a_bad_row_is_reported_with_its_line_and_carried_through(tmp_path):
    rows = ['{"comment": "fast"}', "", "{broken", "[1]", '{"comment": "geheim", "score": 99}', "{}"]
    (tmp_path / "in.jsonl").write_text("\n".join(rows), "utf-8")
    result = run(tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl")
    records = read_jsonl(tmp_path / "out.jsonl")
    assert [r["id"] for r in records] == ["1", "2", "3", "4", "5"]
    assert [r["error"]["code"] if "error" in r else None for r in records] == [
        None,
        "invalid_row",
        "invalid_row",
        "invalid_comment",
        None,
    ]
    assert records[3]["comment"] == "geheim"
    assert records[1]["model"] == "words-1"
    assert "in.jsonl: line 3: the row is not valid JSON" in result.stderr
    assert "in.jsonl: line 4: the row is not a JSON object" in result.stderr
    assert "in.jsonl: line 5: score must be" in result.stderr
    assert "5 records answered, 3 of them with an error" in result.stderr
    assert "geheim" not in result.stderr


def test_the_text_is_in_comment_else_in_text_else_in_the_column_named(tmp_path):
    line = json.dumps({"comment": "kaputt", "text": "fast", "body": "nothing"})
    assert run_jsonl(tmp_path, line)[0]["sentiment"] == "negative"
    assert run_jsonl(tmp_path, json.dumps({"text": "fast"}))[0]["sentiment"] == "positive"
    body = json.dumps({"body": "fast", "comment": "kaputt"})
    assert run_jsonl(tmp_path, body, "--text-column", "body")[0]["sentiment"] == "positive"


@pytest.mark.parametrize("options", [(), ("--text-column", "txet")])
@pytest.mark.parametrize(
    ("name", "content"), [("a.jsonl", '{"body": "x"}'), ("a.csv", "body\nx\n")]
)
def test_a_missing_column_is_one_line_and_leaves_no_file(tmp_path, name, content, options):
    (tmp_path / name).write_text(content, "utf-8")
    with pytest.raises(DataError, match=r"no column .* it has 'body': name one with --text-column"):
        run(tmp_path / name, "-o", tmp_path / "out.jsonl", *options)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_keeps_its_columns_and_holds_nested_values_as_json(tmp_path, delimiter):
    rows = [
        ["id", "comment", "score", "language", "note"],
        ["a", "fast, but\nkaputt; so", "4", "", "ä"],
        ["b", "", "", "de-AT", ""],
        ["", "fast", "9", "en", "x"],
        ["d", "fast", "ten", "", ""],
    ]
    with (tmp_path / "in.csv").open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, delimiter=delimiter).writerows(rows)
    result = run(tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    records = read_csv(tmp_path / "out.csv", delimiter)
    assert list(records[0]) == ["id", "comment", "score", "note", *RESULT_FIELDS[1:]]
    assert [r["id"] for r in records] == ["a", "b", "3", "d"]
    assert records[0]["comment"] == "fast, but\nkaputt; so"
    assert records[0]["note"] == "ä"
    assert [label["label"] for label in json.loads(records[0]["labels"])] == [
        "delivery.speed",
        "product.quality",
    ]
    assert json.loads(records[0]["labels"])[0]["name"]["de"] == "Lieferzeit"
    assert records[0]["score_type"] == "detractor"
    assert records[1]["language"] == "de"
    assert json.loads(records[2]["route"])["priority"] == "low"
    assert json.loads(records[2]["needs_review"]) is False
    assert json.loads(records[3]["error"])["code"] == "invalid_comment"
    assert "in.csv: line 6: score must be a whole number" in result.stderr


def test_a_csv_row_with_a_wrong_number_of_cells_is_reported_and_kept(tmp_path):
    (tmp_path / "in.csv").write_text(
        "comment,x\nfast,1\nfast\nfast,1,2\n\nfa\rst,3\nfast,2\n", "utf-8"
    )
    result = run(tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    records = read_csv(tmp_path / "out.csv")
    assert [bool(r["error"]) for r in records] == [False, True, True, True, False]
    assert [r["x"] for r in records] == ["1", "", "1", "", "2"]
    assert "line 3: the row has 1 cells, the first line names 2" in result.stderr
    assert "line 4: the row has 3 cells" in result.stderr
    assert "line 6: the row is not CSV" in result.stderr


def test_jsonl_becomes_csv_with_the_columns_of_all_rows(tmp_path):
    late = [{"comment": "fast"}] * 600 + [{"comment": "fast", "late": {"a": 1}}]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, late)), "utf-8")
    run(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv")
    records = read_csv(tmp_path / "out.csv")
    assert (records[0]["late"], records[-1]["late"]) == ("", '{"a": 1}')
    assert len(records) == 601


def test_standard_streams_carry_jsonl(tmp_path):
    line = json.dumps({"comment": "fast"}).encode()
    result = run("-", "--output", "-", stdin=line)
    assert json.loads(result.stdout)["sentiment"] == "positive"
    run("-", "--output", tmp_path / "out.csv", stdin=line)
    assert read_csv(tmp_path / "out.csv")[0]["sentiment"] == "positive"


def test_half_a_surrogate_pair_is_kept_in_jsonl_and_shown_as_its_escape_elsewhere(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    line = r'{"comment": "kaputt \ud800", "x": "\ud800"}'
    (record,) = run_jsonl(tmp_path, line)
    assert record["comment"] == "kaputt \ud800"
    run(tmp_path / "in.jsonl", "-o", tmp_path / "out.csv")
    assert read_csv(tmp_path / "out.csv")[0]["x"] == r"\ud800"
    run(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").to_pylist()[0]["x"] == r"\ud800"


def test_parquet_keeps_the_types_of_its_columns_and_nests_the_answer(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [
        {"comment": "fast", "score": 9.0, "day": date(2026, 1, 2), "sentiment": "old"},
        {"comment": None, "score": float("nan"), "day": None, "sentiment": "old"},
        {"comment": "kaputt", "score": 3.5, "day": None, "sentiment": "old"},
    ] * 400
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet")
    result = run(tmp_path / "in.parquet", "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.field("day").type == pa.date32()
    records = table.to_pylist()
    assert len(records) == 1200
    assert records[0]["day"] == date(2026, 1, 2)
    assert records[0]["labels"][0]["name"] == {"de": "Lieferzeit", "en": "Delivery speed"}
    assert records[0]["score_type"] == "promoter"
    assert records[1]["score_type"] is None
    assert records[1]["sentiment"] == "neutral"
    assert records[2]["error"]["code"] == "invalid_comment"
    assert "row 3: score must be" in result.stderr
    run(tmp_path / "in.parquet", "-o", tmp_path / "out.jsonl")
    lines = read_jsonl(tmp_path / "out.jsonl")
    assert lines[0]["day"] == "2026-01-02"
    assert lines[1]["score"] is None


def test_jsonl_becomes_parquet_with_types_where_they_are_known(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    rows = [
        {"comment": "fast", "n": 1, "f": 1, "mixed": 1, "big": 10**30, "b": True},
        {"comment": "kaputt", "f": 1.5, "mixed": "x", "nested": [1]},
    ]
    (tmp_path / "in.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    run(tmp_path / "in.jsonl", "-o", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    types = {name: table.schema.field(name).type for name in ("n", "f", "mixed", "big", "b")}
    assert types == {
        "n": pa.int64(),
        "f": pa.float64(),
        "mixed": pa.string(),
        "big": pa.string(),
        "b": pa.bool_(),
    }
    first, second = table.to_pylist()
    assert (first["mixed"], first["big"], second["nested"]) == ("1", str(10**30), "[1]")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("a.txt", b"", "unknown kind of file '.txt'"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"comment,a,a\n", "the column 'a' is there twice"),
        ("a.csv", "comment\nSchön\n".encode("latin-1"), "is not UTF-8 (line 2, byte 4 of it)"),
        ("a.jsonl", '{"comment": "Schön"}'.encode("latin-1"), "is not UTF-8 (line 1, byte 17"),
        ("a.jsonl", "{}\n".encode("utf-16"), "is not UTF-8"),
        ("a.parquet", b"PAR1", "it is no Parquet file"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line_and_leaves_no_other(
    tmp_path, name, content, problem
):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as refused:
        run(tmp_path / name, "-o", tmp_path / "out.jsonl")
    assert problem in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_file_a_missing_folder_and_a_folder_are_one_line_each(tmp_path):
    with pytest.raises(DataError, match=r"none\.csv: cannot be read"):
        run(tmp_path / "none.csv", "-o", tmp_path / "out.csv")
    (tmp_path / "in.csv").write_text("comment\nfast\n", "utf-8")
    with pytest.raises(DataError, match="cannot be written"):
        run(tmp_path / "in.csv", "-o", tmp_path / "none" / "out.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is no file"):
        run(tmp_path / "in.csv", "-o", tmp_path / "folder.csv")


def test_an_older_answer_stays_until_the_new_one_is_whole(tmp_path, monkeypatch):
    class Breaking(WordClassifier):
        def classify(self, comments):
            raise RuntimeError("out of memory")

    (tmp_path / "in.csv").write_text("comment\nfast\n", "utf-8")
    (tmp_path / "out.csv").write_text("old", "utf-8")
    monkeypatch.setattr(service, "load_service", lambda settings: word_service(Breaking()))
    with pytest.raises(RuntimeError, match="out of memory"):
        run(tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text("utf-8") == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_a_file_may_be_answered_in_its_place(tmp_path):
    (tmp_path / "in.jsonl").write_text('{"comment": "fast"}\n', "utf-8")
    run(tmp_path / "in.jsonl", "-o", tmp_path / "in.jsonl")
    assert read_jsonl(tmp_path / "in.jsonl")[0]["sentiment"] == "positive"


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=8))
@hypothesis_settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_survives_csv_and_has_one_record(tmp_path, texts):
    with (tmp_path / "in.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerows([["comment", "n"], *([text, n] for n, text in enumerate(texts))])
    run(tmp_path / "in.csv", "-o", tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as stream:
        records = list(csv.DictReader(stream))
    assert [r["comment"] for r in records] == texts
    assert [r["n"] for r in records] == [str(n) for n in range(len(texts))]
