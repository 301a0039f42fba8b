"""Files through `echolot classify`: peak memory by their size, and workers of Ray by their number.

    python -m benchmarks.bulk memory [--rows 10000 1000000] [--texts FILE.jsonl] [--model FOLDER]
    python -m benchmarks.bulk ray [--rows 8192] [--rounds 3] [--part 1024] [--texts FILE.jsonl]

`memory` runs the command on files of so many rows (texts repeated) and reads
the peak of its resident memory. `ray` answers one Parquet file by one and by two workers in turns,
each with a Ray started before the clock, and beside them the single process with one thread and
with two. Linux only. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.machine import describe_machine
from benchmarks.texts import read_texts


def write_rows(file: Path, texts: list[str], rows: int) -> None:
    """Write so many comments as JSONL or Parquet."""
    repeated = islice(cycle(texts), rows)
    if file.suffix == ".parquet":
        pq.write_table(pa.table({"text": list(repeated)}), file, row_group_size=65_536)
        return
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"text": text}) + "\n" for text in repeated)


def environment(model: Path | None, **more: object) -> dict[str, str]:
    named = {"ECHOLOT_MODEL": str(model.resolve())} if model else {}
    return {**os.environ, **named, **{key: str(value) for key, value in more.items()}}


def peak(source: Path, target: Path, *, env: dict[str, str]) -> tuple[float, float]:
    """Return peak resident memory in MiB and seconds of one call."""
    call = [sys.executable, "-m", "model.cli", "classify", str(source), "-o", str(target)]
    started = time.monotonic()
    pid = subprocess.Popen(call, env=env, stderr=subprocess.DEVNULL).pid
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"echolot classify ended with status {status}")
    return usage.ru_maxrss / 1024, time.monotonic() - started


def memory(arguments: argparse.Namespace, texts: list[str]) -> None:
    print("| rows | seconds | a second | peak MiB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for rows in arguments.rows or [10_000, 1_000_000]:
            source, target = Path(scratch) / "in.jsonl", Path(scratch) / "out.jsonl"
            write_rows(source, texts, rows)
            mib, seconds = peak(source, target, env=environment(arguments.model))
            with target.open("rb") as stream:
                answered = sum(1 for _ in stream)
            assert answered == rows, (answered, rows)
            print(f"| {rows} | {seconds:.0f} | {rows / seconds:.0f} | {mib:.0f} |", flush=True)


def ray(arguments: argparse.Namespace, texts: list[str]) -> None:
    from serving import parquet_parts, ray_bulk

    rows = (arguments.rows or [8_192])[0]
    parquet_parts.PART_ROWS = arguments.part
    os.environ.update(environment(arguments.model))
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "in.parquet"
        write_rows(source, texts, rows)
        for turn in range(arguments.rounds):
            for workers in (1, 2):
                target = Path(scratch) / f"ray-{workers}-{turn}"
                found = by_ray(ray_bulk, source, target, workers=workers)
                seconds.setdefault(f"Ray, {workers} workers", []).append(found)
            for threads in (1, 2):
                target = Path(scratch) / f"single-{threads}-{turn}.parquet"
                env = environment(arguments.model, ECHOLOT_THREADS=threads)
                found = peak(source, target, env=env)[1]
                seconds.setdefault(f"single process, {threads} threads", []).append(found)
    first = statistics.median(seconds["Ray, 1 workers"])
    print(f"{rows} rows, {arguments.rounds} rounds, medians\n")
    print("| way | seconds | a second | ratio to one worker of Ray |\n|---|---|---|---|")
    for way, times in seconds.items():
        middle = statistics.median(times)
        print(f"| {way} | {middle:.1f} | {rows / middle:.0f} | {first / middle:.2f} |")


def by_ray(ray_bulk: object, source: Path, target: Path, *, workers: int) -> float:
    """Return the seconds of one call, the start of Ray left out."""
    import ray

    ray_bulk._begin(ray, address=None, workers=workers)  # type: ignore[attr-defined]
    started = time.monotonic()
    ray_bulk.classify_parquet(str(source), str(target), workers=workers)  # type: ignore[attr-defined]
    taken = time.monotonic() - started
    ray.shutdown()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["memory", "ray"])
    parser.add_argument("--rows", type=int, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", type=int, default=1024, help="rows of a part, with Ray")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--limit", type=int, default=20_000, help="texts that are used")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    texts = read_texts(arguments.texts, limit=arguments.limit)
    print(describe_machine("pyarrow"), f"\n{len(texts)} texts\n")
    {"memory": memory, "ray": ray}[arguments.what](arguments, texts)


if __name__ == "__main__":
    main()
