"""A student with fewer layers learns from a finished model, with texts that nobody labelled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.classifier import Classifier
from model.errors import ConfigError
from model.records import Comment
from model.taxonomy import load_taxonomy
from tests.training.test_workflow import echolot
from tests.training.tiny import comments
from training.config import load_run
from training.corpus import Example
from training.prepare import read_data, read_taxonomy
from training.teacher import Lesson, Teacher, teach


def teacher_of(site: Path) -> Teacher:
    return Teacher(
        site / "data" / "models" / "hotel-1", taxonomy=load_taxonomy(site / "labels.toml")
    )


def example(text: str) -> Example:
    return Example(id="x", text=text, language="de")


def test_texts_that_are_judged_are_not_learnt_from(site):
    run = load_run(site / "distill.toml")
    data = read_data(run, folder=site, taxonomy=read_taxonomy(run, folder=site))
    assert len(data.unlabelled) == 160
    held_out = {e.text for e in [*data.test, *data.tune]}
    assert not held_out & {e.text for e in data.unlabelled}
    assert all(not e.labels and not e.absent and e.signals is None for e in data.unlabelled)


def test_a_lesson_holds_probabilities_and_the_words_of_likely_labels(site):
    (((lesson,)),) = teach([teacher_of(site)], [[example("Nr. 3: dreckig, Frühstück lecker")]])
    assert lesson.outcomes.shape == (5, 4)  # three labels, a signal, the comment
    assert np.allclose(lesson.outcomes.sum(1), 1, atol=1e-5)
    assert lesson.outcomes[3, 2:].sum() == 0
    assert lesson.outcomes[4, 0] == 0
    assert set(lesson.rows) >= {0, 2}
    assert lesson.evidence.shape == (len(lesson.rows), len(lesson.spans))


def test_several_teachers_are_averaged(site):
    one = teacher_of(site)
    text = example("no. 8: filthy")
    ((alone,),) = teach([one], [[text]])
    ((both,),) = teach([one, one], [[text]])
    assert np.allclose(alone.outcomes, both.outcomes)


def test_evidence_finds_its_words_when_tokens_are_cut_otherwise():
    lesson = Lesson(
        np.zeros((2, 4), dtype=np.float32),
        np.array([0]),
        np.array([[0.9, 0.1]], dtype=np.float32),
        np.array([[0, 8], [9, 12]]),
    )
    found = lesson.evidence_at([(0, 0), (0, 4), (4, 8), (9, 12), (0, 0)])
    assert np.allclose(found, [[0.0, 0.9, 0.9, 0.1, 0.0]])


@pytest.mark.slow
def test_a_student_of_half_the_layers_answers_as_its_teacher_does(site):
    done = echolot("distill", "distill.toml", "--data-dir", "data", folder=site)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "model: data/models/hotel-small\n"
    models = site / "data" / "models"
    size = {name: (models / name / "model.onnx").stat().st_size for name in ("hotel-1",)}
    assert (models / "hotel-small" / "model.onnx").stat().st_size < size["hotel-1"]
    asked = [Comment(id=row["id"], text=row["text"]) for row in comments(440)[400:]]
    said = {
        name: Classifier.load(models / name).classify(asked) for name in ("hotel-1", "hotel-small")
    }
    alike = [
        {label.label for label in big.labels} == {label.label for label in small.labels}
        for big, small in zip(said["hotel-1"], said["hotel-small"], strict=True)
    ]
    assert np.mean(alike) > 0.8
    manifest = json.loads((models / "hotel-small" / "manifest.json").read_text("utf-8"))
    assert manifest["run"]["teacher"]["models"] == ["hotel-1"]
    card = (models / "hotel-small" / "MODEL_CARD.md").read_text("utf-8")
    assert (
        "- 160 comments without labels\n\nOn all of these it also learnt what `hotel-1` say."
        in card
    )


@pytest.mark.parametrize(
    ("command", "file", "said"),
    [
        ("train", "distill.toml", "has a [teacher]; call echolot distill"),
        ("distill", "run.toml", "has no [teacher]"),
    ],
)
def test_each_command_takes_its_own_kind_of_run(site, command, file, said):
    done = echolot(command, file, "--data-dir", "data", folder=site)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert said in line


def test_a_teacher_must_know_every_label(site):
    text = (site / "labels.toml").read_text("utf-8")
    more = text.replace(
        "[signals.pest]",
        '[labels."room.view"]\nen = "View"\nde = "Aussicht"\n'
        'means = { en = "the view", de = "die Aussicht" }\n[signals.pest]',
    )
    (site / "more.toml").write_text(more, "utf-8")
    with pytest.raises(ConfigError, match=r"was not trained on 'room\.view'"):
        Teacher(site / "data" / "models" / "hotel-1", taxonomy=load_taxonomy(site / "more.toml"))
