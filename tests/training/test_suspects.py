"""Doubtful labels: those that were turned on purpose come first, and honest ones stay out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np

from tests.training.tiny import comments
from training.corpus import LabelNote, read_examples
from training.suspects import suspects


def turned(examples, label, *, given, needless):
    """Return the examples with a label taken from some and given to others."""
    found = list(examples)
    for n in given:
        kept = {name: note for name, note in found[n].labels.items() if name != label}
        found[n] = replace(found[n], labels=kept, absent=found[n].absent | {label})
    for n in needless:
        more = {**found[n].labels, label: LabelNote(sentiment="negative")}
        found[n] = replace(found[n], labels=more, absent=found[n].absent - {label})
    return found


def test_turned_labels_are_suspected_before_any_other(parts, tmp_path):
    lines = [json.dumps(row, ensure_ascii=False) for row in comments(600)]
    (tmp_path / "many.jsonl").write_text("\n".join(lines), "utf-8")
    examples = read_examples(tmp_path / "many.jsonl", taxonomy=parts.taxonomy)
    label = "food.breakfast"
    has = [n for n, e in enumerate(examples) if label in e.labels][3:5]
    has_not = [n for n, e in enumerate(examples) if label not in e.labels][3:5]
    vectors = np.zeros((len(examples), 4), dtype=np.float32)
    assert suspects(examples, vectors, taxonomy=parts.taxonomy) == []
    wrong = turned(examples, label, given=has, needless=has_not)
    found = suspects(wrong, vectors, taxonomy=parts.taxonomy)
    first = {(s.example, s.label, s.present) for s in found[:4]}
    assert first == {*((n, label, False) for n in has), *((n, label, True) for n in has_not)}


def test_labels_with_too_few_cases_for_the_folds_are_left_out(parts):
    (examples,) = parts.data.train
    few = [e for e in examples if "room.noise" not in e.labels][:60]
    one = [e for e in examples if "room.noise" in e.labels][:1]
    vectors = np.zeros((61, 4), dtype=np.float32)
    found = suspects([*few, *one], vectors, taxonomy=parts.taxonomy)
    assert all(s.label != "room.noise" for s in found)
