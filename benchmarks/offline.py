"""Comments a second beside `transformers.pipeline`, and what the matrix products alone take.

    python -m benchmarks.offline [--model FOLDER] [--texts FILE.jsonl] [--limit 300] [--rounds 5]

The peer is a float32 BERT with a plain sequence-classification head: as many layers, as wide, as
many outputs and the same word pieces as the model, with random weights (speed does not depend on
them), at batch sizes 1 and 32 in order of arrival. Both sides begin with texts. The products are
the encoder's int8 ones alone, in the engine's library, with the engine's batches and threads.
Everything takes turns in one process; ratios are medians over rounds. Prints Markdown.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from benchmarks.machine import describe_machine
from benchmarks.texts import LENGTHS, read_texts
from model.classifier import Classifier
from model.engine import BUDGET_TOKENS, _batches
from model.records import Comment
from model.registry import shipped_folder
from training.fuse import DOMAIN, PRODUCT

HEADS, WIDTH, INNER = 12, 384, 1536  # of the encoder (multilingual-e5-small)
SIZES = (1, 32)
OPSET, IR_VERSION = 20, 10
PAD = 1


def layers_of(graph: Path) -> int:
    """Return how many layers the encoder in a graph has, by the names of its biases."""
    names = [tensor.name for tensor in onnx.load(graph).graph.initializer]
    found = [re.search(r"encoder\.layer\.(\d+)\.", name) for name in names]
    return 1 + max(int(match[1]) for match in found if match)


def peer(folder: Path, *, layers: int, outputs: int, max_tokens: int):
    """Return a text-classification pipeline of the same size."""
    from transformers import (
        BertConfig,
        BertForSequenceClassification,
        PreTrainedTokenizerFast,
        pipeline,
    )

    inner = Tokenizer.from_file(str(folder / "tokenizer.json"))
    inner.no_padding()
    inner.no_truncation()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", model_max_length=max_tokens
    )
    config = BertConfig(
        vocab_size=inner.get_vocab_size(),
        hidden_size=WIDTH,
        intermediate_size=INNER,
        num_hidden_layers=layers,
        num_attention_heads=HEADS,
        num_labels=outputs,
        problem_type="multi_label_classification",
        pad_token_id=PAD,
    )
    network = BertForSequenceClassification(config).eval()
    return pipeline(
        "text-classification", model=network, tokenizer=tokenizer, device="cpu", top_k=None
    )


def products(layers: int) -> onnxruntime.InferenceSession:
    """Return a graph of the int8 products of an encoder; of each result one row is looked at."""
    rng = np.random.default_rng(0)
    shapes = [(WIDTH, WIDTH)] * 4 + [(WIDTH, INNER), (INNER, WIDTH)]
    zero, one = np.array([0], np.int64), np.array([1], np.int64)
    constants = {
        "scale": np.array(0.02, np.float32),
        "zero": np.array(117, np.uint8),
        "from": zero,
        "to": one,
    }
    nodes, outputs = [], []
    for number, (inner, outer) in enumerate(shapes * layers):
        name = f"product_{number}"
        constants[f"{name}_weight"] = rng.integers(-127, 128, (inner, outer), dtype=np.int8)
        constants[f"{name}_scale"] = np.full(outer, 0.01, np.float32)
        constants[f"{name}_bias"] = np.zeros(outer, np.float32)
        fed = [f"steps_{inner}", f"{name}_weight", "scale", f"{name}_scale", "zero"]
        nodes.append(helper.make_node(PRODUCT, [*fed, "", f"{name}_bias"], [name], domain=DOMAIN))
        # Taking one row frees the rest for the next product, as in the whole graph.
        nodes.append(helper.make_node("Slice", [name, "from", "to"], [f"{name}_row"]))
        outputs.append(helper.make_tensor_value_info(f"{name}_row", TensorProto.FLOAT, None))
    inputs = [
        helper.make_tensor_value_info(f"steps_{width}", TensorProto.UINT8, ["rows", width])
        for width in (WIDTH, INNER)
    ]
    graph = helper.make_graph(
        nodes,
        "products",
        inputs,
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def multiply(session, sizes: list[int], pool: ThreadPoolExecutor) -> None:
    """Run the products for batches of so many padded tokens."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (max(sizes), INNER), dtype=np.uint8)
    narrow = np.ascontiguousarray(wide[:, :WIDTH])

    def run(rows: int) -> None:
        # One row of each result alone is fetched, so that copying does not count.
        session.run(None, {f"steps_{WIDTH}": narrow[:rows], f"steps_{INNER}": wide[:rows]})

    list(pool.map(run, sizes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=shipped_folder())
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=2)
    args = parser.parse_args()
    import torch

    torch.set_num_threads(args.cores)
    ours = Classifier.load(args.model, threads=args.cores)
    engine = ours._engine
    layers, outputs = layers_of(args.model / "model.onnx"), len(engine.rows.ids)
    theirs = peer(args.model, layers=layers, outputs=outputs, max_tokens=engine._max_tokens)
    alone = products(layers)
    pool = ThreadPoolExecutor(args.cores)
    texts = read_texts(args.texts, limit=args.limit)
    print(f"{describe_machine('torch', 'transformers')}")
    print(f"{args.cores} cores; {args.model.name}: {layers} layers, {outputs} outputs")
    print(f"{len(texts)} comments, {args.rounds} rounds\n")
    print(
        "| comments | tokens | ours a second | pipeline, 1 | ratio | pipeline, 32 | ratio", end=""
    )
    print(" | products alone |\n|---|---|---|---|---|---|---|---|")
    for name, cut in LENGTHS.items():
        chosen = cut(texts)
        comments = [Comment(id="", text=text) for text in chosen]
        lengths = engine._pieces(chosen).lengths
        batches = _batches(lengths, budget=BUDGET_TOKENS, workers=args.cores)
        sizes = [int(lengths[batch].max()) * len(batch) for batch in batches]
        works = {
            "ours": lambda c=comments: ours.classify(c),
            "products": lambda s=sizes: multiply(alone, s, pool),
            **{
                size: lambda n=size, t=chosen: theirs(t, batch_size=n, truncation=True)
                for size in SIZES
            },
        }
        seconds: dict[object, list[float]] = {work: [] for work in works}
        for turn in range(args.rounds + 1):
            for work, run in works.items():
                start = time.perf_counter()
                with torch.inference_mode():
                    run()
                if turn:  # the first warms caches and arenas
                    seconds[work].append(time.perf_counter() - start)
        cells = [name, f"{lengths.mean():.1f}", f"{len(chosen) / median(seconds['ours']):.0f}"]
        for size in SIZES:
            ratio = ratio_of(seconds[size], seconds["ours"])
            cells += [f"{len(chosen) / median(seconds[size]):.0f}", f"{ratio:.1f}"]
        cells.append(f"{ratio_of(seconds['products'], seconds['ours']):.0%}")
        print("| " + " | ".join(cells) + " |", flush=True)


def median(values: list[float]) -> float:
    return statistics.median(values)


def ratio_of(over: list[float], under: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


if __name__ == "__main__":
    main()
