"""Where the time of a classification goes: the share of each step, short comments and full ones.

    python -m benchmarks.profile [--texts FILE.jsonl] [--limit 1000] [--model FOLDER] [--rounds 3]

Everything runs in one thread, and what counts is the CPU time of that thread, so that shares hold
on a busy machine too. A step does not count what it calls of the others. Prints Markdown.
"""

from __future__ import annotations

import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # or its threads would do uncounted work

import argparse
import statistics
import time
from collections import defaultdict
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.texts import LENGTHS, read_texts
from model import classifier as judging
from model import engine as running
from model import reading
from model.classifier import Classifier
from model.records import Comment
from model.registry import shipped_folder

WARM = 50  # comments read before any that count


class Steps:
    """Adds up the CPU time of steps, each without those that run inside it."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._since = 0.0

    def _turn(self) -> None:
        now = time.thread_time()
        if self._open:
            self.seconds[self._open[-1]] += now - self._since
        self._since = now

    def timed(self, step, call):
        def run(*args, **kwargs):
            self._turn()
            self._open.append(step)
            try:
                return call(*args, **kwargs)
            finally:
                self._turn()
                self._open.pop()

        return run

    def watch(self, owner, name, step) -> None:
        setattr(owner, name, self.timed(step, getattr(owner, name)))


class Watched:
    """The session or the tokenizer of an engine, with one call timed."""

    def __init__(self, inner, steps: Steps, name: str, step: str) -> None:
        self._inner = inner
        setattr(self, name, steps.timed(step, getattr(inner, name)))

    def __getattr__(self, name):
        return getattr(self._inner, name)


def watch(classifier: Classifier, steps: Steps) -> None:
    """Put a clock around each step."""
    engine = classifier._engine
    engine._session = Watched(engine._session, steps, "run", "session.run")
    engine._tokenizer = Watched(engine._tokenizer, steps, "encode_batch", "tokenise")
    steps.watch(reading, "clean", "clean")
    steps.watch(reading, "calm", "clean")
    steps.watch(running.Engine, "_pieces", "pack")
    steps.watch(running, "_batches", "pack")
    steps.watch(running._Pieces, "padded", "pack")
    steps.watch(running.Pending, "windows", "read logits")
    steps.watch(reading.Reader, "_finish", "read logits")
    steps.watch(judging, "detect_language", "language")
    steps.watch(judging, "words", "evidence: words and clauses")
    steps.watch(judging, "clauses", "evidence: words and clauses")
    steps.watch(judging, "best_runs", "evidence: runs")
    steps.watch(classifier, "classify", "judge and records")


def measure(folder: Path, texts: list[str], rounds: int) -> dict[str, float]:
    """Return microseconds a text by step: the median of the rounds."""
    classifier, steps = Classifier.load(folder, threads=1), Steps()
    watch(classifier, steps)
    comments = [Comment(id="", text=text) for text in texts]
    classifier.classify(comments[:WARM])
    found: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        steps.seconds.clear()
        classifier.classify(comments)
        for step, seconds in steps.seconds.items():
            found[step].append(seconds / len(texts) * 1e6)
    return {step: statistics.median(values) for step, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--model", type=Path, default=shipped_folder())
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    texts = read_texts(args.texts, limit=args.limit)
    columns = {name: measure(args.model, cut(texts), args.rounds) for name, cut in LENGTHS.items()}
    print(f"{describe_machine()}; {len(texts)} comments, one thread\n")
    print("| step | " + " | ".join(f"{name}: µs a comment | share" for name in columns) + " |")
    print("|---|" + "---|---|" * len(columns))
    totals = {name: sum(column.values()) for name, column in columns.items()}
    first = next(iter(columns.values()))
    for step in sorted(first, key=first.__getitem__, reverse=True):
        cells = [f"{c[step]:.1f} | {c[step] / totals[n]:.1%}" for n, c in columns.items()]
        print(f"| {step} | " + " | ".join(cells) + " |")
    outside = {n: totals[n] - column["session.run"] for n, column in columns.items()}
    cells = [f"{outside[n]:.1f} | {outside[n] / totals[n]:.1%}" for n in columns]
    print("| **all outside session.run** | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
