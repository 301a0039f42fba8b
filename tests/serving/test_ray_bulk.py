"""`echolot classify --engine ray`: the answers of the single process, by several workers."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import uuid
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from model.errors import ConfigError, DataError
from serving import bulk, parquet_parts, ray_bulk
from serving.ray_bulk import JOURNAL, Answering, classify_parquet
from serving.settings import Settings
from tests.fakes import word_service

ROWS, PART = 600, 50
GERMAN = "Lieferung Nr. {} kam zu spät, aber die Hose passt gut. Bitte um Rückruf!"
ENGLISH = "Order {} arrived in three days, nobody answers the phone though."


def comments(rows: int = ROWS) -> pa.Table:
    texts = [(GERMAN, ENGLISH)[n % 2].format(n) for n in range(rows)]
    scores = [n % 11 if n % 7 else 77 for n in range(rows)]  # no score is that high: an error
    return pa.table({"text": texts, "score": scores, "shop": ["Köln"] * rows})


def write_input(folder: Path) -> Path:
    source = folder / "in"
    source.mkdir()
    table = comments()
    pq.write_table(table.slice(0, 420), source / "a.parquet", row_group_size=130)
    pq.write_table(table.slice(420), source / "b.parquet")
    return source


def answers(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.glob("part-*"))])


def single(source: Path, folder: Path) -> pa.Table:
    """Answer each file in the single process."""
    tables = []
    for file in sorted(source.glob("*.parquet")):
        target = folder / f"single-{file.name}"
        result = CliRunner().invoke(bulk.classify, [str(file), "--output", str(target)])
        assert result.exit_code == 0, result.stderr
        tables.append(pq.read_table(target))
    return pa.concat_tables(tables)


@pytest.fixture
def words(monkeypatch):
    """A service that needs no weights, in this process, and small parts."""
    monkeypatch.setattr(ray_bulk, "load_service", lambda settings: word_service())
    monkeypatch.setattr(parquet_parts, "PART_ROWS", PART)


@pytest.fixture
def no_workers(monkeypatch):
    """Parts are answered in this process, one after another, instead of by Ray."""

    def run(parts, *, workers, address, arguments):
        answering = Answering(**arguments)
        for part in parts:
            yield answering({"part": json.dumps(ray_bulk.asdict(part))})

    monkeypatch.setattr(ray_bulk, "_run", run)


@pytest.fixture(scope="module")
def ray():
    module = pytest.importorskip("ray")
    module.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=40
    )
    yield module
    module.shutdown()


def ray_workers() -> set[int]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"ray::MapWorker" in entry.read_bytes():
                found.add(int(entry.parent.name))
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_two_workers_answer_as_one_process_does_even_if_one_of_them_is_killed(
    tmp_path, monkeypatch, ray
):
    if sys.platform != "linux":
        pytest.skip("workers are found in /proc")
    monkeypatch.setattr(parquet_parts, "PART_ROWS", PART)
    source, target = write_input(tmp_path), tmp_path / "out"
    counts = []
    call = threading.Thread(
        target=lambda: counts.append(classify_parquet(str(source), str(target), workers=2))
    )
    call.start()
    while not list(target.glob("part-*")) and call.is_alive():
        time.sleep(0.01)
    killed = min(ray_workers())
    os.kill(killed, signal.SIGKILL)
    seen = set()
    while call.is_alive():
        seen |= ray_workers()
        call.join(timeout=0.2)
    assert len(seen - {killed}) >= 2  # another one came in its place
    assert len(list(target.glob("part-*"))) == 14  # 130, 130, 130, 30 and 180 rows, 50 in a part
    assert [(c.records, c.errors) for c in counts] == [(ROWS, 86)]
    assert answers(target).equals(single(source, tmp_path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_a_worker_refuses_reaches_the_caller_as_one_line(tmp_path, ray):
    source = write_input(tmp_path)
    settings = Settings(model=str(tmp_path / "no model"))
    arguments = {"target": str(tmp_path / "out"), "text_column": None, "settings": settings}
    parts = list(parquet_parts.cut_parts([str(source / "a.parquet")], source=str(source)))
    with pytest.raises(ConfigError, match="in a worker"):
        list(ray_bulk._run(parts, workers=1, address=None, arguments=arguments))


def test_parts_lie_in_the_order_of_the_rows_and_answer_each_once(tmp_path, words, no_workers):
    source, target = write_input(tmp_path), tmp_path / "out"
    count = classify_parquet(str(source), str(target))
    found = answers(target)
    assert found.column("shop").to_pylist() == ["Köln"] * ROWS
    assert found.column("score").to_pylist() == comments().column("score").to_pylist()
    # A comment without an id has its row's number in its file, as in the single process.
    assert found.column("id").to_pylist() == [
        *(str(n) for n in range(1, 421)),
        *(str(n) for n in range(1, 181)),
    ]
    assert (count.records, count.errors) == (ROWS, 86)


def test_a_call_goes_on_with_the_parts_that_have_no_file(tmp_path, words, no_workers, capsys):
    source, target = write_input(tmp_path), tmp_path / "out"
    classify_parquet(str(source), str(target))
    whole = answers(target)
    files = sorted(target.glob("part-*"))
    kept = {file: file.stat().st_mtime_ns for file in files[::2]}
    for file in files[1::2]:
        file.unlink()
    (target / ".part-000001.parquet.0123").write_bytes(b"half of a")
    count = classify_parquet(str(source), str(target))
    assert "going on: 7 of 14 parts are there" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    assert answers(target).equals(whole)
    assert (count.records, count.errors) == (ROWS, 86)


def test_answers_of_another_input_are_not_mixed(tmp_path, words, no_workers):
    source, target = write_input(tmp_path), tmp_path / "out"
    classify_parquet(str(source), str(target))
    pq.write_table(comments(70), source / "b.parquet")
    with pytest.raises(DataError, match="made with another input; call it as it was"):
        classify_parquet(str(source), str(target))
    classify_parquet(str(source), str(target), restart=True)
    assert len(answers(target)) == 490


def test_a_folder_with_other_files_is_left_alone(tmp_path, words, no_workers):
    source, target = write_input(tmp_path), tmp_path / "out"
    target.mkdir()
    (target / "letter.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files; name a new folder"):
        classify_parquet(str(source), str(target), restart=True)
    assert [file.name for file in target.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize("named", ["in/a.parquet", "nowhere"])
def test_a_target_or_source_that_cannot_be_is_named(tmp_path, words, no_workers, named):
    source = write_input(tmp_path)
    wrong = str(tmp_path / named)
    if named == "nowhere":
        with pytest.raises(DataError, match="nowhere: is no Parquet file, and no folder"):
            classify_parquet(wrong, str(tmp_path / "out"))
    else:
        with pytest.raises(DataError, match="is a file; Ray leaves a folder"):
            classify_parquet(str(source), wrong)


def test_files_with_other_columns_and_files_without_a_text_are_refused(tmp_path, words, no_workers):
    source = write_input(tmp_path)
    pq.write_table(pa.table({"remark": ["gut"]}), source / "c.parquet")
    with pytest.raises(DataError, match=r"c\.parquet has other columns than"):
        classify_parquet(str(source), str(tmp_path / "out"))
    with pytest.raises(DataError, match="no column 'comment' or 'text'; it has 'remark'"):
        classify_parquet(str(source / "c.parquet"), str(tmp_path / "out"))
    count = classify_parquet(str(source / "c.parquet"), str(tmp_path / "out"), text_column="remark")
    assert count.records == 1


def test_a_file_without_rows_has_an_answer_without_rows(tmp_path, words, no_workers):
    pq.write_table(comments(0), tmp_path / "in.parquet")
    assert classify_parquet(str(tmp_path / "in.parquet"), str(tmp_path / "out")).records == 0
    found = answers(tmp_path / "out")
    assert (len(found), found.column_names[:3]) == (0, ["id", "text", "score"])


def test_paths_may_be_of_another_file_system(tmp_path, words, no_workers):
    place = f"memory://{uuid.uuid4().hex}"
    system = fsspec.filesystem("memory")
    with fsspec.open(f"{place}/in.parquet", "wb") as stream:
        pq.write_table(comments(120), stream, row_group_size=70)
    classify_parquet(f"{place}/in.parquet", f"{place}/out")
    names = sorted(Path(entry).name for entry in system.ls(f"{place}/out", detail=False))
    assert names == [JOURNAL, *(f"part-{n:06d}.parquet" for n in range(3))]
    with fsspec.open(f"{place}/out/part-000001.parquet", "rb") as stream:
        assert pq.read_table(stream).column("id").to_pylist() == [str(n) for n in range(51, 71)]


def test_an_unknown_file_system_is_said_in_one_line(tmp_path, words, no_workers):
    with pytest.raises(DataError, match=r"^nfs://x/in: Protocol not known: nfs"):
        classify_parquet("nfs://x/in", str(tmp_path / "out"))


def test_options_of_ray_are_refused_without_it(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "gut"}\n')
    result = CliRunner().invoke(
        bulk.classify, [str(file), "-o", str(tmp_path / "out.jsonl"), "--workers", "2"]
    )
    assert result.exit_code == 2
    assert "belong to --engine ray" in result.stderr
