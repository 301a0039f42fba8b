from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from model.errors import ArtifactError
from model.registry import shipped_folder
from serving.inference import Inference
from serving.logs import JsonFormatter
from serving.metrics import Metrics
from serving.reloading import Reloading
from serving.service import Service
from tests.fakes import FailingClassifier, FirstLabelRouter, WordClassifier

ROOT = Path(__file__).parent.parent.parent
OFTEN = 0.005  # seconds between two looks


def service(version: str, *, classifier: WordClassifier | None = None) -> Service:
    words = classifier or WordClassifier()
    words.name = f"words-{version}"
    return Service(words, FirstLabelRouter(), version=version)


class Shelf:
    """What is in production, and what loading it gives: a service, or an error."""

    def __init__(self) -> None:
        self.wanted = "1"
        self.loads: list[str] = []
        self.damaged: set[str] = set()

    def version(self) -> str:
        return self.wanted

    def load(self) -> Service:
        self.loads.append(self.wanted)
        if self.wanted in self.damaged:
            raise ArtifactError(f"words-{self.wanted}: is damaged")
        return service(self.wanted)


async def until(holds) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


def run(shelf: Shelf, scene, *, seconds: float | None = OFTEN) -> bytes:
    """Play a scene beside the watch; return the metrics after it."""

    async def play() -> bytes:
        metrics = Metrics()
        inference = Inference(service("1"), threads=1, limit=100, deadline=60, metrics=metrics)
        reloading = Reloading(shelf.load, wanted=shelf.version, seconds=seconds)
        await inference.open()
        watch = asyncio.create_task(reloading.watch(inference, metrics))
        await scene(inference, reloading)
        assert not watch.done()
        watch.cancel()
        await inference.close()
        return metrics.page()

    return asyncio.run(play())


def test_another_model_in_production_is_taken_up_once():
    shelf = Shelf()

    async def scene(inference: Inference, _: Reloading) -> None:
        await asyncio.sleep(10 * OFTEN)
        assert shelf.loads == []
        shelf.wanted = "2"
        await until(lambda: inference.service.model == "words-2")
        await asyncio.sleep(10 * OFTEN)
        answer = await inference.answer([{"comment": "kaputt"}])
        assert answer.service.model == "words-2"

    page = run(shelf, scene).decode()
    assert shelf.loads == ["2"]
    models = [line for line in page.splitlines() if line.startswith("echolot_model_info{")]
    assert len(models) == 1
    assert 'model="words-2"' in models[0]
    assert 'echolot_reloads_total{outcome="loaded"} 1.0' in page


def test_where_loading_fails_the_old_model_stays_and_a_line_and_a_count_say_so(caplog):
    shelf = Shelf()
    shelf.damaged = {"2"}

    async def scene(inference: Inference, _: Reloading) -> None:
        shelf.wanted = "2"
        await until(lambda: shelf.loads)
        await asyncio.sleep(10 * OFTEN)
        assert (await inference.answer([{"comment": "kaputt"}])).service.model == "words-1"
        # The same is not tried again and again, another one is.
        assert shelf.loads == ["2"]
        shelf.wanted = "3"
        await until(lambda: inference.service.model == "words-3")

    page = run(shelf, scene).decode()
    assert 'echolot_reloads_total{outcome="failed"} 1.0' in page
    assert 'echolot_reloads_total{outcome="loaded"} 1.0' in page
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    (line,) = [line for line in lines if line["message"] == "loading failed"]
    assert (line["problem"], line["model"]) == ("words-2: is damaged", "words-1")


def test_a_model_that_cannot_answer_is_not_taken_up_and_nothing_is_told_of_its_error(caplog):
    class Broken(FailingClassifier):
        def classify(self, comments):
            raise RuntimeError("geheim")

    shelf = Shelf()
    shelf.load = lambda: service("2", classifier=Broken())

    async def scene(inference: Inference, reloading: Reloading) -> None:
        shelf.wanted = "2"
        await until(lambda: any(r.message == "loading failed" for r in caplog.records))
        assert inference.service.model == "words-1"

    run(shelf, scene)
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"RuntimeError"' in line for line in lines)
    assert not any("geheim" in line for line in lines)


def test_whoever_asks_gets_the_same_model_anew(caplog):
    caplog.set_level(logging.INFO)
    shelf = Shelf()

    async def scene(inference: Inference, reloading: Reloading) -> None:
        before = inference.service
        reloading.ask()
        await until(lambda: inference.service is not before)
        shelf.wanted = "2"
        await asyncio.sleep(0.05)
        # Nobody looks, unless asked.
        assert inference.service.model == "words-1"
        reloading.ask()
        await until(lambda: inference.service.model == "words-2")

    run(shelf, scene, seconds=None)
    assert shelf.loads == ["1", "2"]


def copy_of_shipped(folder: Path, *, name: str) -> None:
    # Links: the graph is large, and nobody changes it.
    shutil.copytree(shipped_folder(), folder, copy_function=os.link)
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps({**manifest, "name": name}), "utf-8")


@contextmanager
def real_server(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    settings = {
        "ECHOLOT_PORT": "0",
        "ECHOLOT_DATA_DIR": str(data_dir),
        "ECHOLOT_RELOAD_SECONDS": "0.1",
        # A line a request would fill the pipe, which nobody empties meanwhile.
        "ECHOLOT_LOG_LEVEL": "error",
        "PYTHONUNBUFFERED": "1",
    }
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ECHOLOT_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "serving"],
        env={**environment, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        line = process.stdout.readline()
        yield process, int(re.search(r":(\d+) ", line)[1])
    finally:
        process.kill()
        process.communicate()


class Clients:
    """Threads that ask all the time, each on a connection of its own."""

    def __init__(self, port: int, *, count: int = 4) -> None:
        self._port = port
        self.models: list[str] = []
        self.failures: list[object] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _ask(self) -> None:
        body = json.dumps({"comments": [{"comment": "Die Hose war kaputt"}] * 3})
        headers = {"Content-Type": "application/json"}
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            while not self._stop.is_set():
                connection.request("POST", "/v1/classify", body, headers)
                response = connection.getresponse()
                answer = json.loads(response.read())
                if response.status != 200 or not all(r["labels"] for r in answer["results"]):
                    self.failures.append(answer)
                self.models.append(answer.get("model"))

    def wait_for(self, model: str) -> None:
        end = time.monotonic() + 60
        while not self.models or self.models[-1] != model:
            assert time.monotonic() < end, (model, Counter(self.models), self.failures)
            time.sleep(0.02)


def echolot_models(*arguments: str, data_dir: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model.cli", "models", *arguments, "--data-dir", str(data_dir)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_a_server_under_load_follows_promotions_without_a_failed_or_mixed_answer(tmp_path):
    for name in ("shop-1", "shop-2"):
        copy_of_shipped(tmp_path / "models" / name, name=name)
    shipped = json.loads((shipped_folder() / "manifest.json").read_text("utf-8"))["name"]
    with real_server(tmp_path) as (process, port):
        with Clients(port) as clients:
            clients.wait_for(shipped)
            for name in ("shop-1", "shop-2"):
                assert echolot_models("promote", name, data_dir=tmp_path).returncode == 0
                clients.wait_for(name)
            # A model that was damaged behind the registry's back is not taken up.
            (tmp_path / "models" / "shop-1" / "model.onnx").unlink()
            assert echolot_models("roll-back", data_dir=tmp_path).returncode == 2
            (tmp_path / "models" / "production.json").write_text('{"promoted": ["shop-1"]}')
            process.send_signal(signal.SIGHUP)
            time.sleep(1)
            assert clients.models[-1] == "shop-2"
            (tmp_path / "models" / "production.json").write_text('{"promoted": []}')
            clients.wait_for(shipped)
        assert clients.failures == []
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 0
    lines = [json.loads(line) for line in stderr.splitlines()]
    failed = [line for line in lines if line["message"] == "loading failed"]
    assert {line["problem"].partition(": ")[2] for line in failed} == {
        "is missing; fetch or train the model again"
    }
