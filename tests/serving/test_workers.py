"""Several processes at one address, with a model that answers by word lists."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from model.errors import ConfigError
from serving.addresses import bind, bind_each
from serving.settings import Settings
from tests.serving.test_server import ask, metrics, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers need Linux")
PROGRAM = """
from serving.commands import run_service
from serving.settings import load_settings
from tests.fakes import WordClassifier, word_service

run_service(load_settings(), load=lambda _: word_service(WordClassifier(seconds=0.5)))
"""


@contextmanager
def workers(count: int = 2) -> Iterator[tuple[subprocess.Popen[str], int]]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ECHOLOT_")}
    settings = {"ECHOLOT_PORT": "0", "ECHOLOT_WORKERS": str(count), "ECHOLOT_RELOAD_SECONDS": "0"}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**environment, **settings, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        port = int(re.search(r":(\d+) ", line)[1])
        # One of them says so; the others take connections a moment later.
        until(lambda: len(children(process)) == count)
        yield process, port
    finally:
        process.kill()
        process.communicate()


def children(process: subprocess.Popen[str]) -> set[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return {int(pid) for pid in listed.split()}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def hears_hangup(pid: int) -> bool:
    caught = Path(f"/proc/{pid}/status").read_text().split("SigCgt:")[1].split()[0]
    return bool(int(caught, 16) & 1 << signal.SIGHUP - 1)


def until(holds) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_workers_answer_at_one_port_and_their_metrics_are_one():
    with workers() as (_, port):
        asked = [threading.Thread(target=ask, args=(port, "kaputt")) for _ in range(12)]
        for thread in asked:
            thread.start()
        for thread in asked:
            thread.join()
        assert 'echolot_comments_total{language="en",outcome="answered"} 12.0' in metrics(port)


def test_a_worker_that_dies_is_replaced():
    with workers() as (process, port):
        before = children(process)
        os.kill(min(before), signal.SIGKILL)
        until(lambda: len(children(process)) == 2 and children(process) != before)
        assert {ask(port, "kaputt")["status"] for _ in range(4)} == {200}
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert '"worker ended"' in stderr
    assert '"code": -9' in stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_workers_finish_what_they_took_in_before_they_end(number):
    with workers() as (process, port):
        started = children(process)
        answers: list[int] = []
        asked = [
            threading.Thread(target=lambda: answers.append(ask(port, "kaputt")["status"]))
            for _ in range(4)
        ]
        for thread in asked:
            thread.start()
        wait_for(port, "echolot_queue_comments 4.0")
        process.send_signal(number)
        for thread in asked:
            thread.join(timeout=20)
        process.communicate(timeout=20)
    assert process.returncode == 0
    assert answers == [200] * 4
    assert not any(alive(pid) for pid in started)


def test_workers_end_with_their_parent_however_it_went():
    with workers() as (process, _):
        started = children(process)
        process.kill()
        until(lambda: not any(alive(pid) for pid in started))


def test_a_hangup_reaches_every_worker():
    with workers() as (process, port):
        # One that is still starting does not listen to it yet.
        until(lambda: all(hears_hangup(pid) for pid in children(process)))
        process.send_signal(signal.SIGHUP)
        wait_for(port, 'echolot_reloads_total{outcome="loaded"} 2.0')


def test_a_port_that_another_has_is_not_shared_with_it():
    with bind(Settings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on 127.0.0.1 is in use"):
            bind_each(Settings(port=port, workers=2))
    sockets = bind_each(Settings(port=0, workers=2))
    try:
        port = sockets[0].getsockname()[1]
        assert [bound.getsockname()[1] for bound in sockets] == [port] * 2
        with pytest.raises(ConfigError, match="is in use"):
            bind_each(Settings(port=port, workers=2))
    finally:
        for bound in sockets:
            bound.close()


def test_the_cores_are_shared_out_among_workers():
    cores = len(os.sched_getaffinity(0))
    assert Settings().threads == cores
    assert Settings(workers=cores).threads == 1
    assert Settings(workers=3, threads=5).threads == 5
