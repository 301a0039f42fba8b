from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.artifact import read_artifact
from model.engine import SPREAD, Engine, Spread, _batches
from model.errors import ArtifactError

MAX_TOKENS = 64


@pytest.fixture(scope="module")
def engine(tiny: Path) -> Engine:
    return loaded(tiny)


def loaded(
    folder: Path,
    *,
    max_tokens: int = MAX_TOKENS,
    width: int | None = None,
    threads: int = 1,
    spread: Spread = SPREAD,
) -> Engine:
    rows = read_artifact(folder).rows
    if width is not None:
        rows = replace(rows, queries=rows.queries[:, :width])
    return Engine.load(
        folder / "model.onnx",
        folder / "tokenizer.json",
        rows,
        max_tokens=max_tokens,
        threads=threads,
        spread=spread,
    )


def test_a_short_text_has_one_window_with_a_score_for_every_row_and_token(engine):
    (windows,) = engine.windows(["Frühstück kalt, very noisy"])
    assert len(windows) == 1
    rows, tokens = len(engine.rows.ids), len(windows[0].spans)
    assert windows[0].logits.shape == (rows, 4)
    assert windows[0].evidence.shape == (rows, tokens)
    assert (windows[0].spans[:, 1] > windows[0].spans[:, 0]).all()


def test_no_text_is_no_token_and_no_list_no_window(engine):
    assert engine.windows([]) == []
    (windows,) = engine.windows([""])
    assert windows[0].spans.shape == (0, 2)


@pytest.mark.parametrize("max_tokens", [3, 4, 16, 64, 66, 120])
def test_windows_of_a_long_text_overlap_and_leave_no_word_out(tiny, max_tokens):
    text = " ".join(f"laut{n}" for n in range(60))
    (windows,) = loaded(tiny, max_tokens=max_tokens).windows([text])
    covered = np.zeros(len(text), dtype=int)
    for window in windows:
        assert len(window.spans) <= max_tokens - 2
        for start, end in np.unique(window.spans, axis=0):
            covered[start:end] += 1
    letters = np.array([char.isalnum() for char in text])
    assert len(windows) > 1
    assert (covered[letters] >= 1).all()
    assert covered.max() > 1 or max_tokens == 3


def test_texts_of_any_length_come_back_in_their_order(engine):
    texts = ["laut " * n for n in (30, 1, 200, 0, 7)]
    together = engine.windows(texts)
    for text, windows in zip(texts, together, strict=True):
        (alone,) = engine.windows([text])
        assert len(alone) == len(windows)
        for one, other in zip(alone, windows, strict=True):
            assert (one.spans == other.spans).all()
            assert one.logits == pytest.approx(other.logits, abs=0.05)


@pytest.mark.parametrize("threads", [2, 3])
@pytest.mark.parametrize("spread", ["batches", "products"])
def test_however_threads_share_the_work_the_answers_are_the_same(tiny, engine, threads, spread):
    several = loaded(tiny, threads=threads, spread=spread)
    texts = ["laut " * n for n in (30, 1, 200, 0, 7)] + ["Frühstück kalt"] * 150
    for listed in (texts, texts[:1], []):
        expected = engine.windows(listed)
        for alone, found in zip(expected, several.windows(listed), strict=True):
            for one, other in zip(alone, found, strict=True):
                assert (one.spans == other.spans).all()
                assert one.logits == pytest.approx(other.logits, abs=1e-4)
                assert one.evidence == pytest.approx(other.evidence, abs=1e-4)


def test_a_few_texts_are_shared_by_all_workers_and_one_worker_takes_full_batches():
    lengths = np.array([17] * 32)
    assert [len(batch) for batch in _batches(lengths, budget=1024, workers=2)] == [16, 16]
    assert [len(batch) for batch in _batches(lengths, budget=1024, workers=1)] == [32]
    mixed = np.array([300, 5, 40, 40])
    assert _batches(mixed, budget=100, workers=1) == [[1], [2, 3], [0]]
    assert _batches(mixed[:0], budget=100, workers=2) == []


def test_a_long_text_does_not_make_many_short_ones_wait_for_its_padding():
    lengths = np.array([4, 60, 5, 4, 61, 5])
    assert _batches(lengths, budget=1024, workers=1) == [[0, 3, 2, 5], [1, 4]]


def test_a_described_text_has_the_width_of_the_queries(engine):
    assert engine.describe(["Lärm in der Nacht", "noise"]).shape == (2, 32)
    assert engine.describe(["Lärm " * 500]).shape == (1, 32)


def test_other_rows_are_judged_over_the_same_session(engine):
    rows = engine.rows
    fewer = replace(
        rows, ids=rows.ids[:2], queries=rows.queries[:2], own=rows.own[:2], bias=rows.bias[:2]
    )
    ((few,),) = engine.with_rows(fewer).windows(["sehr laut"])
    ((all_rows,),) = engine.windows(["sehr laut"])
    assert few.logits == pytest.approx(all_rows.logits[:2], abs=1e-5)


def test_rows_of_another_width_than_the_graph_takes_are_an_error(tiny):
    with pytest.raises(ArtifactError, match=r"width 32, and labels\.npz holds 16"):
        loaded(tiny, width=16)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.onnx", b""),
        ("model.onnx", b"no graph"),
        ("tokenizer.json", b""),
        ("tokenizer.json", b"{}"),
        ("tokenizer.json", b"\xff"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_an_error_of_one_line(copied, name, content):
    rows = read_artifact(copied).rows
    (copied / name).write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        Engine.load(copied / "model.onnx", copied / "tokenizer.json", rows, max_tokens=64)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_library_below_reports_nothing_and_keeps_no_id_of_the_machine(tiny, tmp_path):
    program = (
        "import sys; from pathlib import Path; from model.artifact import read_artifact\n"
        "from model.engine import Engine\n"
        "folder = Path(sys.argv[1])\n"
        "Engine.load(folder / 'model.onnx', folder / 'tokenizer.json', "
        "read_artifact(folder).rows, max_tokens=64)\n"
    )
    kept = {name: str(tmp_path) for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")}
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tiny)],
        env={**environment, **kept},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []
