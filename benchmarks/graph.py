"""What the shipped graph gains from being written as the engine runs it (training/fuse.py).

    python -m benchmarks.graph [--model FOLDER] [--rounds 30] [--texts FILE.jsonl]

Three forms of one graph run the same batches in turns, in one thread; what counts is the CPU time
of that thread. `no joined GELU` leaves the graph as it is and keeps the engine from joining bias
and GELU. A model whose graph is fused already shows no difference. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from benchmarks.machine import describe_machine
from benchmarks.texts import read_texts, shortened
from model.artifact import read_artifact
from model.engine import Engine
from model.registry import shipped_folder
from training.fuse import fuse


def session(graph: bytes, *without: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(without)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--model", type=Path, default=shipped_folder())
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    rows = read_artifact(args.model).rows
    model = onnx.load(args.model / "model.onnx")
    stored = model.SerializeToString()
    forms = {
        "as it is stored": session(stored),
        "no joined GELU": session(stored, "BiasGeluFusion"),
        "fused": session(fuse(model).SerializeToString()),
    }
    engine = Engine.load(
        args.model / "model.onnx", args.model / "tokenizer.json", rows, max_tokens=256, threads=1
    )
    texts = read_texts(args.texts, limit=400)
    longest = sorted(texts, key=len)[-4:]
    batches = {
        "one short": [shortened(texts[0])],
        "fifteen short": [shortened(text) for text in texts[:15]],
        "seven full": texts[:7],
        "the four longest": longest,
    }
    parts = {"queries": rows.queries, "own": rows.own, "bias": rows.bias}
    print(f"{describe_machine('onnx')}; {args.rounds} rounds\n")
    print("| batch | tokens | form | µs | ratio | greatest difference of a logit |")
    print("|---|---|---|---|---|---|")
    for name, batch in batches.items():
        pieces = engine._pieces(batch)
        feed = {**pieces.padded(range(len(batch))), **parts}
        seconds: dict[str, list[float]] = {form: [] for form in forms}
        found = {}
        for _ in range(args.rounds + 1):
            for form, runner in forms.items():
                start = time.thread_time()
                found[form] = runner.run(["logits"], feed)[0]
                seconds[form].append(time.thread_time() - start)
        first = next(iter(forms))
        for form, times in seconds.items():
            pairs = zip(seconds[first][1:], times[1:], strict=True)
            ratio = statistics.median(before / after for before, after in pairs)
            off = float(np.abs(found[form] - found[first]).max())
            row = [name, feed["input_ids"].size, form, f"{statistics.median(times[1:]) * 1e6:.0f}"]
            print("| " + " | ".join(map(str, [*row, f"{ratio:.3f}", f"{off:.6f}"])) + " |")


if __name__ == "__main__":
    main()
