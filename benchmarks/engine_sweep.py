"""How threads and batches are best used: rates of the engine by budget, spread and part size.

    python -m benchmarks.engine_sweep [--texts FILE.jsonl] [--limit 2000] [--rounds 5]

All variants classify the same comments in one process, one after another in every round. Where
`--cpu` is given the process's CPU time counts instead of the clock: for a busy machine, and then
only for one thread. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from pathlib import Path

from benchmarks.machine import describe_machine
from benchmarks.texts import LENGTHS, read_texts
from model import reading
from model.artifact import read_artifact
from model.classifier import Classifier
from model.engine import BUDGET_TOKENS, SPREAD, Engine
from model.records import Comment
from model.registry import shipped_folder
from model.taxonomy import load_taxonomy

BUDGETS = (128, 256, 512, 1024, 2048)
PARTS = (16_000, 60_000, 250_000)  # characters that are read at a time


def classifier(folder: Path, *, threads: int, spread: str, budget: int) -> Classifier:
    artifact = read_artifact(folder)
    engine = Engine.load(
        folder / "model.onnx",
        folder / "tokenizer.json",
        artifact.rows,
        max_tokens=artifact.manifest["max_tokens"],
        threads=threads,
        spread=spread,
        budget=budget,
    )
    taxonomy = load_taxonomy(folder / "labels.toml")
    return Classifier(artifact, taxonomy=taxonomy, engine=engine, untrained=())


def variants(cores: int) -> list[tuple[int, str, int, int]]:
    """Return threads, spread, budget and part size: each changed alone from what is the default."""
    part = reading.CHUNK_CHARACTERS
    spreads = [(1, "batches"), (cores, "batches"), (cores, "products")]
    found = [(*kind, budget, part) for kind, budget in itertools.product(spreads, BUDGETS)]
    found += [(cores, SPREAD, BUDGET_TOKENS, size) for size in PARTS]
    return list(dict.fromkeys(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--limit", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=shipped_folder())
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--cpu", action="store_true")
    args = parser.parse_args()
    clock = time.process_time if args.cpu else time.perf_counter
    texts = read_texts(args.texts, limit=args.limit)
    settings = variants(1 if args.cpu else args.cores)
    engines = {
        kind: classifier(args.model, threads=kind[0], spread=kind[1], budget=kind[2])
        for kind in dict.fromkeys(setting[:3] for setting in settings)
    }
    print(f"{describe_machine()}; model {args.model.name}")
    print(f"{len(texts)} comments, {args.rounds} rounds\n")
    print("| comments | threads | spread | budget, tokens | part, characters | a second | ratio |")
    print("|---|---|---|---|---|---|---|")
    for length, cut in LENGTHS.items():
        comments = [Comment(id="", text=text) for text in cut(texts)]
        seconds: dict[tuple, list[float]] = {setting: [] for setting in settings}
        for _, setting in itertools.product(range(args.rounds + 1), settings):
            reading.CHUNK_CHARACTERS = setting[3]
            start = clock()
            engines[setting[:3]].classify(comments)
            seconds[setting].append(clock() - start)
        medians = {setting: statistics.median(s[1:]) for setting, s in seconds.items()}
        first = medians[settings[0]]
        for setting, taken in medians.items():
            row = [length, *setting, f"{len(comments) / taken:.0f}", f"{first / taken:.2f}"]
            print("| " + " | ".join(map(str, row)) + " |")


if __name__ == "__main__":
    main()
