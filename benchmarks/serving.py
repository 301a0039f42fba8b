"""The service under load, client and server on the same cores, one comment a request.

    python -m benchmarks.serving [--texts FILE.jsonl] [--requests 2000] [--rounds 3] [--seconds 10]

Beside it, alternated: two plain ways over the same model, a route that does nothing, and the
offline rate for the same texts (`benchmarks/servers.py`). Then three times as much as it can
answer, and a request of 1,000 beside single ones. The cache is off. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import describe_machine

WAYS = ("echolot", "direct", "pool", "nothing")
CONNECTIONS = (16, 64)
LIST = 1000  # comments of the large request
BESIDE = 4  # connections that ask for single comments beside it
OVERLOAD = 3


def read_texts(paths: list[Path], *, characters: int) -> list[str]:
    lines = [line for path in paths for line in path.read_text("utf-8").splitlines()]
    records = [json.loads(line) for line in lines]
    texts = [record.get("comment") or record.get("text") or "" for record in records]
    return [text[:characters] for text in texts if text.strip()]


@contextmanager
def server(way: str, texts: Path) -> Iterator[tuple[int, int]]:
    """Start one of the ways; yield its port and process id."""
    command = [sys.executable, "-m", "benchmarks.servers", way, str(texts)]
    if way == "echolot":
        command = [sys.executable, "-m", "serving"]
    settings = {"ECHOLOT_PORT": "0", "ECHOLOT_CACHE_ENTRIES": "0", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        command,
        env={**os.environ, **settings, "ECHOLOT_LOG_LEVEL": "warning"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stdout.readline()
        yield int(re.search(r"(?:127\.0\.0\.1:|^)(\d+)", line)[1]), process.pid
    finally:
        process.terminate()
        process.wait()


def begin_load(port: int, texts: Path, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.load", str(port), str(texts)]
    return subprocess.Popen([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def end_load(process: subprocess.Popen[str]) -> dict:
    said = json.loads(process.communicate()[0])
    said["latencies"] = sorted(took for _, took, status in said["done"] if status == 200)
    said["errors"] = sum(status != 200 for _, _, status in said["done"])
    return said


def load(port: int, texts: Path, *arguments: object) -> dict:
    return end_load(begin_load(port, texts, *arguments))


def at(latencies: list[float], share: float) -> float:
    """Return a quantile in milliseconds."""
    return 1000 * latencies[min(len(latencies) - 1, int(share * len(latencies)))]


def resident_mib(pid: int) -> float:
    return int(Path(f"/proc/{pid}/status").read_text().split("VmRSS:")[1].split()[0]) / 1024


def offline(texts: Path, *, comments: int) -> dict:
    command = [sys.executable, "-m", "benchmarks.servers", "offline", str(texts)]
    done = subprocess.run(
        [*command, "--comments", str(comments)], stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout)


def closed_loops(texts: Path, *, requests: int, rounds: int) -> tuple[float, float]:
    """Print the ways beside each other; return Echolot's rate at 16, and seconds of a batch."""
    found: dict[tuple[str, int], list[dict]] = {}
    alone = []
    for _ in range(rounds):
        alone.append(offline(texts, comments=requests))
        for way in WAYS:
            with server(way, texts) as (port, _):
                load(port, texts, "closed", "--requests", 64)
                for connections in CONNECTIONS:
                    arguments = ("--connections", connections, "--requests", requests)
                    found.setdefault((way, connections), []).append(
                        load(port, texts, "closed", *arguments)
                    )
    rate = statistics.median(one["rate"] for one in alone)
    print(f"\n## One comment a request, median of {rounds} rounds\n")
    print("| way | connections | answers a second | median ms | p99 ms | worst ms | errors |")
    print("|---|---|---|---|---|---|---|")
    rates: dict[tuple[str, int], float] = {}
    for (way, connections), runs in found.items():
        rates[way, connections] = statistics.median(
            len(run["latencies"]) / run["seconds"] for run in runs
        )
        shares = [
            statistics.median(at(run["latencies"], share) for run in runs) for share in (0.5, 0.99)
        ]
        worst = max(at(run["latencies"], 1.0) for run in runs)
        errors = sum(run["errors"] for run in runs)
        print(
            f"| {way} | {connections} | {rates[way, connections]:.0f} | {shares[0]:.1f} |"
            f" {shares[1]:.1f} | {worst:.1f} | {errors} |"
        )
    print(f"| offline | | {rate:.0f} | | | | |")
    for connections in CONNECTIONS:
        # Both take all cores: what is left of the offline rate when each answer also costs that.
        room = 1 / (1 / rate + 1 / rates["nothing", connections])
        share = rates["echolot", connections] / room
        print(f"\nAt {connections} connections: {share:.0%} of the offline rate less HTTP.", end="")
    print()
    return rates["echolot", 16], statistics.median(one["batch_seconds"] for one in alone)


def overload(texts: Path, *, rate: float, seconds: float) -> None:
    single = ("closed", "--connections", 1, "--requests", 100)
    with server("echolot", texts) as (port, pid):
        load(port, texts, "closed", "--connections", max(CONNECTIONS), "--requests", 500)
        before, memory = load(port, texts, *single), [resident_mib(pid)]
        process = begin_load(port, texts, "open", "--rate", OVERLOAD * rate, "--seconds", seconds)
        while process.poll() is None and len(memory) < 10 * seconds:
            memory.append(resident_mib(pid))
            time.sleep(0.1)
        run = end_load(process)
        after = load(port, texts, *single)
    ends = [(begin + took, status) for begin, took, status in run["done"]]
    # The first second fills the queue.
    answered = sum(1 < end < seconds for end, status in ends if status == 200) / (seconds - 1)
    refused = sorted(took for _, took, status in run["done"] if status == 503)
    rows = {
        "asked for, a second": f"{OVERLOAD * rate:.0f}",
        "answered, a second": f"{answered:.0f} ({answered / rate:.0%} of the rate at 16)",
        "p99 of the answers, ms": f"{at(run['latencies'], 0.99):.0f}",
        "refused": str(len(refused)),
        "median and p99 of a refusal, ms": f"{at(refused, 0.5):.1f}, {at(refused, 0.99):.1f}",
        "neither": str(len(ends) - len(run["latencies"]) - len(refused)),
        "resident MiB before, at most": f"{memory[0]:.0f}, {max(memory):.0f}",
        "from the last request to the last answer, s": f"{max(ends)[0] - seconds:.2f}",
        "median of a single answer before and after, ms": (
            f"{at(before['latencies'], 0.5):.1f}, {at(after['latencies'], 0.5):.1f}"
        ),
    }
    print(f"\n## {OVERLOAD} times as much as it answers, for {seconds:g} s\n")
    print("| | |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def beside_a_list(texts: Path, *, requests: int, batch_seconds: float) -> None:
    alone, beside = [], []
    with server("echolot", texts) as (port, _):
        singles = ("closed", "--connections", BESIDE, "--requests", requests)
        for latencies, lists in ((alone, False), (beside, True), (alone, False), (beside, True)):
            process = None
            if lists:
                many = ("closed", "--connections", 1, "--requests", 10_000, "--size", LIST)
                process = begin_load(port, texts, *many)
                time.sleep(1)
            latencies += load(port, texts, *singles)["latencies"]
            if process:
                process.terminate()
                process.communicate()
    print(f"\n## Single comments on {BESIDE} connections, a request of {LIST} beside them\n")
    print("| | median ms | p99 ms |\n|---|---|---|")
    for name, latencies in (("alone", alone), ("beside", beside)):
        latencies.sort()
        print(f"| {name} | {at(latencies, 0.5):.1f} | {at(latencies, 0.99):.1f} |")
    rise = at(beside, 0.99) - at(alone, 0.99)
    print(f"\nThe p99 rises by {rise:.1f} ms; a batch takes {1000 * batch_seconds:.1f} ms.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = [Path("data/comments/de.jsonl"), Path("data/comments/en.jsonl")]
    parser.add_argument("--texts", type=Path, nargs="+", default=default)
    parser.add_argument("--characters", type=int, default=120, help="texts are cut to so many")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="of overload")
    chosen = parser.parse_args()
    texts = read_texts(chosen.texts, characters=chosen.characters)
    mean = statistics.mean(map(len, texts))
    print(f"{describe_machine()}; {len(texts)} texts, mean {mean:.0f} characters")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        path = Path(file.name)
        rate, batch = closed_loops(path, requests=chosen.requests, rounds=chosen.rounds)
        overload(path, rate=rate, seconds=chosen.seconds)
        beside_a_list(path, requests=chosen.requests // 4, batch_seconds=batch)


if __name__ == "__main__":
    main()
