"""From process start to ready, and resident memory: the service beside a bare engine, alternated.

    python -m benchmarks.startup [--rounds 5]

The bare engine loads the same graph and tokenizer and answers one comment; the service is started
as `echolot serve` and asked at /readyz. Linux only (memory is read from /proc).
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BARE = """
import sys, time, onnxruntime, numpy as np
from pathlib import Path
from tokenizers import Tokenizer
folder = Path(sys.argv[1])
options = onnxruntime.SessionOptions()
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
ids = np.array([Tokenizer.from_file(str(folder / "tokenizer.json")).encode("Alles gut").ids])
rows = np.load(folder / "labels.npz")
parts = {name: rows[name].astype("float32") for name in ("queries", "own", "bias")}
session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids), **parts})
print("ready", flush=True)
sys.stdin.read()
"""


def resident_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def bare(folder: Path) -> tuple[float, float]:
    start = time.perf_counter()
    command = [sys.executable, "-c", BARE, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        taken, memory = time.perf_counter() - start, resident_mib(process.pid)
        process.stdin.close()
    return taken, memory


def service() -> tuple[float, float, float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "ECHOLOT_PORT": str(port)}
    start = time.perf_counter()
    command = [str(Path(sys.executable).parent / "echolot"), "serve"]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.005)
        ready, memory = time.perf_counter() - start, resident_mib(process.pid)
        body = json.dumps({"comments": [{"comment": "Alles gut"}]}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/classify", body, {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).read()
        return ready, memory, resident_mib(process.pid)
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    folder = Path("model/shipped")
    engines, services = [], []
    for _ in range(rounds):
        engines.append(bare(folder))
        services.append(service())
    seconds, memory = zip(*engines, strict=True)
    print(f"bare engine  {_median(seconds):.2f} s  {_median(memory):.0f} MiB")
    ready, before, after = zip(*services, strict=True)
    print(f"service      {_median(ready):.2f} s  {_median(before):.0f} MiB")
    print(f"             {_median(after):.0f} MiB after the first comment")
    ratios = [whole / engine for whole, engine in zip(ready, seconds, strict=True)]
    print(f"ratio        {_median(ratios):.1f} in time")


def _median(values) -> float:
    return statistics.median(values)


if __name__ == "__main__":
    main()
