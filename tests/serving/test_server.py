"""The server as a process of its own: address, port, the line that it prints, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest
from click.testing import CliRunner

from model.errors import ConfigError
from serving.addresses import bind
from serving.commands import serve
from serving.keys import new_key
from serving.settings import Settings

# Whether a call takes longer than a test decides the gate, a file, and no clock.
PROGRAM = """
import sys, time
from pathlib import Path
from serving.app import create_app
from serving.logs import configure_logs
from serving.addresses import bind
from serving.server import serve_app
from serving.settings import load_settings
from tests.fakes import WordClassifier, word_service

class Gated(WordClassifier):
    def classify(self, comments):
        end = time.monotonic() + 30
        while comments[0].text != "ok" and not gate.exists() and time.monotonic() < end:
            time.sleep(0.01)
        return super().classify(comments)

gate = Path(sys.argv[1])
settings = load_settings()
configure_logs(settings.log_level)
with bind(settings) as bound:
    service = word_service(Gated())
    app = create_app(service, settings)
    serve_app(app, bound=bound, settings=settings, model=service.model)
"""


@pytest.fixture
def gate(tmp_path) -> Path:
    return tmp_path / "gate"


@contextmanager
def server(gate: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Start a server that answers once the file `gate` is there."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ECHOLOT_")}
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(gate)],
        env={**environment, "ECHOLOT_PORT": "0", "PYTHONUNBUFFERED": "1", **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        ready = re.match(r"Echolot answers at http://127\.0\.0\.1:(\d+) \(model words-1;", line)
        assert ready, (line, process.stderr.read() if process.poll() else "")
        yield process, int(ready[1])
    finally:
        process.kill()
        process.communicate()


def send(port: int, *texts: str) -> HTTPConnection:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"comments": [{"comment": text} for text in texts]})
    connection.request("POST", "/v1/classify", body, {"Content-Type": "application/json"})
    return connection


def ask(port: int, *texts: str) -> dict[str, object]:
    connection = send(port, *texts)
    response = connection.getresponse()
    answer = {"status": response.status, **json.loads(response.read())}
    connection.close()
    return answer


def metrics(port: int) -> str:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    return page


def test_a_server_finishes_what_it_took_in_before_it_ends_and_logs_no_text(gate):
    with server(gate) as (process, port):
        answers: list[dict[str, object]] = []
        client = threading.Thread(target=lambda: answers.append(ask(port, "sehr schnell geheim")))
        client.start()
        while client.is_alive() and "echolot_queue_comments 1.0" not in metrics(port):
            time.sleep(0.02)
        assert client.is_alive()
        process.send_signal(signal.SIGTERM)
        gate.touch()
        client.join(timeout=20)
        stdout, stderr = process.communicate(timeout=20)
    assert answers[0]["status"] == 200
    assert answers[0]["results"][0]["labels"][0]["label"] == "delivery.speed"
    assert process.returncode == 0
    assert stdout == ""
    lines = [json.loads(line) for line in stderr.splitlines()]
    assert [line["message"] for line in lines] == ["request"]
    assert "geheim" not in stderr


def wait_for(port: int, line: str) -> None:
    """Wait until the metrics show a line."""
    end = time.monotonic() + 20
    while line not in (page := metrics(port)):
        assert time.monotonic() < end, page
        time.sleep(0.02)


def test_nothing_is_computed_for_a_client_that_closed_its_connection(gate):
    with (
        server(gate, ECHOLOT_THREADS="1", ECHOLOT_DEADLINE_SECONDS="60") as (_, port),
        closing(send(port, "kaputt")) as busy,
    ):
        wait_for(port, "echolot_queue_comments 1.0")
        gone = send(port, *["sehr kaputt"] * 200)
        wait_for(port, "echolot_queue_comments 201.0")
        gone.close()
        wait_for(port, "echolot_queue_comments 1.0")
        gate.touch()
        assert busy.getresponse().status == 200
        assert ask(port, "schnell")["status"] == 200
        page = metrics(port)
    assert 'echolot_requests_total{method="POST",route="/v1/classify",status="499"} 1.0' in page
    # One batch each for the two that stayed.
    assert "echolot_batch_comments_count 2.0" in page
    assert "echolot_batch_comments_sum 2.0" in page


def test_a_request_whose_turn_does_not_come_in_time_is_told_to_come_back(gate):
    settings = {"ECHOLOT_THREADS": "1", "ECHOLOT_DEADLINE_SECONDS": "0.2"}
    with server(gate, **settings) as (_, port), closing(send(port, "kaputt")) as busy:
        wait_for(port, "echolot_queue_comments 1.0")
        with closing(send(port, "kaputt")) as second:
            late = second.getresponse()
            assert late.status == 503
            assert int(late.headers["Retry-After"]) >= 1
            assert json.loads(late.read())["error"]["code"] == "deadline"
        gate.touch()
        assert busy.getresponse().status == 200


def test_an_answer_on_a_kept_connection_does_not_wait_for_acknowledgements():
    with bind(Settings(port=0)) as bound:
        assert bound.proto == socket.IPPROTO_TCP


def test_a_port_in_use_is_one_line_that_says_what_to_do():
    with bind(Settings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as problem:
            bind(Settings(port=port))
    assert str(problem.value) == (
        f"ECHOLOT_PORT: port {port} on 127.0.0.1 is in use;"
        " stop the other program, or set ECHOLOT_PORT to a free port"
    )


def test_the_command_refuses_before_it_loads_a_model(monkeypatch):
    monkeypatch.setenv("ECHOLOT_HOST", "0.0.0.0")
    result = CliRunner().invoke(serve, [])
    assert isinstance(result.exception, ConfigError)
    assert result.output == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_others_can_reach_needs_a_key(host):
    with pytest.raises(ConfigError, match="so a key is needed"):
        bind(Settings(host=host, port=0))


def test_with_a_key_any_address_will_do():
    key = new_key("shop")[1]
    with bind(Settings(host="0.0.0.0", port=0, api_keys=(key,))) as bound:
        assert bound.getsockname()[0] == "0.0.0.0"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2"])
def test_the_loopback_needs_no_key(host):
    with bind(Settings(host=host, port=0)) as bound:
        assert bound.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["", "192.0.2.1", "x" * 300])
def test_an_address_that_this_machine_does_not_have_is_one_line(host):
    key = new_key("shop")[1]
    with pytest.raises(ConfigError, match=r"ECHOLOT_HOST: .*127\.0\.0\.1 is the usual one"):
        bind(Settings(host=host, port=0, api_keys=(key,)))
