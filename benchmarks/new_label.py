"""A label's first days: scored by its text alone, then with 8, 32 and 128 examples.

    python -m benchmarks.new_label training/runs/ablations/real-only.toml product.fit price.value

A model is trained as the run file says on data without these labels. Day one: the
taxonomy has them again, nothing is trained. Then a second, short run starts from the first one's
weights, with a few annotated comments for each of the labels; the older comments leave them open.
Judged on the run's tune and test data by average precision (no threshold is needed) and by F1.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, f1_score

from model.classifier import Classifier
from model.taxonomy import load_taxonomy
from training.config import load_run
from training.corpus import Example
from training.evaluate import comments_of
from training.prepare import Data, read_data
from training.run import train

EXAMPLES = (8, 32, 128)
OLD_SHARE = 0.3  # of the older comments that an epoch of the second run reads
SECOND_EPOCHS = 3
# What a run file of this script says for itself.
_OWN = {"name", "base", "taxonomy", "epochs", "start", "routing", "vocabulary", "miss_costs"}
_OWN |= {"train", "tune", "test", "must_route", "behaviour", "certify", "teacher"}


def main() -> None:
    """Train, judge and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("labels", nargs="+")
    parser.add_argument("--data-dir", type=Path, default=Path("data/local"))
    arguments = parser.parse_args()
    days(arguments.run, arguments.labels, data_dir=arguments.data_dir)


def days(run_file: Path, labels: Sequence[str], *, data_dir: Path) -> None:
    """Print how each label fares with more and more examples; models stay in `data_dir`."""
    work = data_dir / "new-label"
    work.mkdir(parents=True, exist_ok=True)
    run = load_run(run_file)
    taxonomy_file = run_file.parent / run.taxonomy
    taxonomy = load_taxonomy(taxonomy_file)
    data = read_data(run, folder=run_file.parent, taxonomy=taxonomy)
    judged = [*data.tune, *data.test]
    (work / "all.toml").write_text(taxonomy_file.read_text("utf-8"), "utf-8")
    (work / "fewer.toml").write_text(without(taxonomy_file.read_text("utf-8"), labels), "utf-8")
    write_parts(work / "base", data, drop=labels)
    base = train(
        run_toml(
            work / "base.toml", run_file, epochs=run.epochs, taxonomy="fewer.toml", parts="base"
        ),
        data_dir=data_dir,
    )
    print("| examples | label | language | cases | average precision | F1 |")
    print("|---|---|---|---|---|---|")
    show(0, Classifier.load(base, taxonomy=taxonomy), judged, labels)
    weights = data_dir / "runs" / "new-label-base" / "weights.safetensors"
    for count in EXAMPLES:
        name = f"with-{count}"
        chosen = first_examples(data, labels, count=count)
        write_parts(work / name, data, drop=labels, chosen=chosen)
        run_toml(
            work / f"{name}.toml",
            run_file,
            epochs=SECOND_EPOCHS,
            taxonomy="all.toml",
            parts=name,
            start=weights,
            labels=labels,
        )
        show(
            count,
            Classifier.load(train(work / f"{name}.toml", data_dir=data_dir), taxonomy=taxonomy),
            judged,
            labels,
        )


def without(text: str, labels: Sequence[str]) -> str:
    """Return the taxonomy file without the tables of some labels."""
    for label in labels:
        found = re.search(
            rf'^\[labels\."{re.escape(label)}"\]\n(?:(?!\[).*\n)*', text, re.MULTILINE
        )
        if found is None:
            raise SystemExit(f"no label {label!r} in the taxonomy")
        text = text[: found.start()] + text[found.end() :]
    return text


def first_examples(data: Data, labels: Sequence[str], *, count: int) -> list[Example]:
    """Return for each label up to `count` comments of the training data, in its order."""
    everything = [example for part in data.train for example in part if example.is_full]
    chosen: dict[str, Example] = {}
    for label in labels:
        having = [example for example in everything if label in example.labels]
        order = np.random.default_rng(13).permutation(len(having))[:count]
        chosen.update({having[i].id: having[i] for i in order})
    return list(chosen.values())


def write_parts(
    folder: Path, data: Data, *, drop: Sequence[str], chosen: Sequence[Example] = ()
) -> None:
    """Write old comments without the labels, the chosen ones with all, and what judges."""
    folder.mkdir(exist_ok=True)
    kept_out = {example.id for example in chosen}
    old = [e for part in data.train for e in part if e.is_full and e.id not in kept_out]
    write(folder / "old.jsonl", (stripped(example, drop) for example in old))
    write(folder / "new.jsonl", chosen)
    tune = data.tune if chosen else [stripped(example, drop) for example in data.tune]
    write(folder / "tune.jsonl", tune)


def stripped(example: Example, drop: Sequence[str]) -> Example:
    """Return the example as annotators left it who did not know some labels."""
    kept = {label: note for label, note in example.labels.items() if label not in drop}
    return replace(example, labels=kept)


def write(path: Path, examples: Iterable[Example]) -> None:
    """Write full annotations in the form of docs/data-format.md."""
    with path.open("w", encoding="utf-8") as file:
        for example in examples:
            record = {
                "id": example.id,
                "text": example.text,
                "language": example.language,
                "sentiment": example.sentiment,
                "signals": sorted(example.signals or ()),
                "labels": [
                    {
                        "label": label,
                        "sentiment": note.sentiment,
                        **(
                            {
                                "start": note.evidence[0],
                                "end": note.evidence[1],
                                "evidence": example.text[slice(*note.evidence)],
                            }
                            if note.evidence
                            else {}
                        ),
                    }
                    for label, note in example.labels.items()
                ],
            }
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def run_toml(
    path: Path,
    run_file: Path,
    *,
    epochs: int,
    taxonomy: str,
    parts: str,
    start: Path | None = None,
    labels: Sequence[str] = (),
) -> Path:
    """Write a run file with base, vocabulary and settings of the given one; return its path."""
    run = load_run(run_file)
    folder = (run_file.parent / run.base).resolve()
    base = str(folder) if folder.is_dir() else run.base
    lines = [
        f'name = "new-label-{path.stem}"',
        f"base = {json.dumps(base)}",
        f'taxonomy = "{taxonomy}"',
        f"epochs = {epochs}",
    ]
    kept = run.model_dump(exclude=_OWN, exclude_defaults=True)
    lines += [f"{key} = {json.dumps(value)}" for key, value in kept.items()]
    if start:
        lines.append(f"start = {json.dumps(str(start.resolve()))}")
    if run.vocabulary:
        texts = [str((run_file.parent / text).resolve()) for text in run.vocabulary.texts]
        lines += ["[vocabulary]", f"size = {run.vocabulary.size}", f"texts = {json.dumps(texts)}"]
    lines += ["[[train]]", f'path = "{parts}/old.jsonl"']
    if start:
        lines += [f"share = {OLD_SHARE}", f"open = {json.dumps(list(labels))}"]
        lines += ["[[train]]", f'path = "{parts}/new.jsonl"']
    lines += ["[[tune]]", f'path = "{parts}/tune.jsonl"']
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def show(
    count: int, classifier: Classifier, judged: Sequence[Example], labels: Sequence[str]
) -> None:
    """Print a row for each label and language."""
    comments = comments_of(judged)
    probability = classifier.probabilities(comments)
    said = [{label.label for label in p.labels} for p in classifier.classify(comments)]
    order = list(classifier.taxonomy.labels)
    for label in labels:
        for language in sorted({example.language for example in judged}):
            places = [n for n, e in enumerate(judged) if e.language == language and e.is_full]
            truth = [label in judged[n].labels for n in places]
            if not any(truth):
                continue
            precision = average_precision_score(truth, probability[places, order.index(label)])
            f1 = f1_score(truth, [label in said[n] for n in places], zero_division=0)
            print(
                f"| {count or 'none'} | {label} | {language} | {sum(truth)} "
                f"| {precision:.3f} | {f1:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
