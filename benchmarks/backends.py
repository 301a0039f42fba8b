"""OpenVINO against ONNX Runtime on one quantised graph: rate, likeness, size, start and memory.

    pip install -c constraints.txt -e . openvino    # in an environment of its own: no part of it
    python -m benchmarks.backends [--graph FILE.onnx] [--texts FILE.jsonl] [--limit 500]

The graph must be in quantise-dequantise form; one that was fused (training/fuse.py) only ONNX
Runtime reads. Both engines classify the same comments in turns in one process, `--threads` of them
with a batch each. Likeness: decisions that differ from those of ONNX Runtime, and how far a label's
probability moves between a comment alone and in a list. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.texts import LENGTHS, read_texts
from model.artifact import read_artifact
from model.classifier import Classifier
from model.engine import Engine
from model.records import Comment
from model.registry import shipped_folder
from model.taxonomy import load_taxonomy

NAMES = ("onnxruntime", "openvino")
ALONE = 200  # comments that are also read one by one
START = """
import sys, time
begin = time.perf_counter()
import numpy as np
ids = np.array([[0, 581, 6, 2]])
rows = np.load(sys.argv[3])
parts = {name: rows[name].astype("float32") for name in ("queries", "own", "bias")}
feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), **parts}
if sys.argv[1] == "openvino":
    import openvino
    hints = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = openvino.Core().compile_model(sys.argv[2], "CPU", hints)
    model.create_infer_request().infer(feed)
else:
    import onnxruntime
    onnxruntime.InferenceSession(sys.argv[2]).run(["logits"], feed)
taken = time.perf_counter() - begin
status = open("/proc/self/status").read()
print(taken, int(status.split("VmRSS:")[1].split()[0]) / 1024)
"""


class OpenVino:
    """Stands in for the session of an engine; each thread has a request of its own."""

    def __init__(self, graph: Path, *, threads: int) -> None:
        import openvino

        hints = {
            "INFERENCE_PRECISION_HINT": "f32",  # or it takes bfloat16 where the processor has it
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": threads,
        }
        self._compiled = openvino.Core().compile_model(str(graph), "CPU", hints)
        self._local = threading.local()

    def run(self, outputs, feed):
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()
        found = self._local.request.infer(feed)
        return [found[name] for name in outputs]


def classifiers(folder: Path, graph: Path, *, threads: int) -> dict[str, Classifier]:
    artifact, found = read_artifact(folder), {}
    taxonomy = load_taxonomy(folder / "labels.toml")
    for name in NAMES:
        engine = Engine.load(
            graph,
            folder / "tokenizer.json",
            artifact.rows,
            max_tokens=artifact.manifest["max_tokens"],
            threads=threads,
        )
        if name == "openvino":
            engine._session = OpenVino(graph, threads=threads)
        found[name] = Classifier(artifact, taxonomy=taxonomy, engine=engine, untrained=())
    return found


def started(name: str, graph: Path, rows: Path) -> tuple[float, float]:
    """Return seconds from imports to the first answer, and MiB resident then."""
    command = [sys.executable, "-c", START, name, str(graph), str(rows)]
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    seconds, memory = map(float, done.stdout.split())
    return seconds, memory


def size_mib(name: str) -> float:
    """Return what the installed package takes on disk."""
    files = distribution(name).files or []
    paths = [Path(str(file.locate())) for file in files]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 2**20


def decided(predictions) -> list[tuple]:
    return [
        (p.sentiment, frozenset((x.label, x.sentiment) for x in p.labels), len(p.signals))
        for p in predictions
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=shipped_folder())
    parser.add_argument("--graph", type=Path, help="another graph of the same model")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--limit", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    try:
        import openvino
    except ImportError:
        raise SystemExit("openvino is missing; install it beside the project to compare") from None
    graph = args.graph or args.model / "model.onnx"
    try:
        openvino.Core().read_model(str(graph))
    except Exception as problem:
        first = str(problem).strip().splitlines()[0]
        raise SystemExit(f"{graph}: openvino cannot read it, is it fused? ({first})") from None
    engines = classifiers(args.model, graph, threads=args.threads)
    texts = read_texts(args.texts, limit=args.limit)
    print(f"{describe_machine('openvino')}; {len(texts)} comments, {args.threads} threads\n")
    print("| comments | engine | a second | ratio | decisions that differ | alone and in a list |")
    print("|---|---|---|---|---|---|")
    for length, cut in LENGTHS.items():
        comments = [Comment(id="", text=text) for text in cut(texts)]
        seconds: dict[str, list[float]] = {name: [] for name in NAMES}
        said = {}
        for turn in range(args.rounds + 1):
            for name, engine in engines.items():
                start = time.perf_counter()
                said[name] = decided(engine.classify(comments))
                if turn:
                    seconds[name].append(time.perf_counter() - start)
        for name, engine in engines.items():
            pairs = zip(seconds[NAMES[0]], seconds[name], strict=True)
            ratio = statistics.median(before / after for before, after in pairs)
            rate = len(comments) / statistics.median(seconds[name])
            other = sum(a != b for a, b in zip(said[NAMES[0]], said[name], strict=True))
            together = engine.probabilities(comments)[:ALONE]
            alone = np.concatenate([engine.probabilities([c]) for c in comments[:ALONE]])
            moved = float(np.abs(together - alone).max())
            cells = [length, name, f"{rate:.0f}", f"{ratio:.2f}", str(other), f"{moved:.4f}"]
            print("| " + " | ".join(cells) + " |", flush=True)
    print("\n| engine | installed, MiB | start to first answer, s | resident, MiB |")
    print("|---|---|---|---|")
    for name in NAMES:
        times, memory = zip(
            *(started(name, graph, args.model / "labels.npz") for _ in range(args.rounds)),
            strict=True,
        )
        cells = [statistics.median(times), statistics.median(memory)]
        print(f"| {name} | {size_mib(name):.0f} | {cells[0]:.2f} | {cells[1]:.0f} |")


if __name__ == "__main__":
    main()
