"""What must hold of the shipped model for any comment."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.artifact import COMMENT
from model.classifier import Classifier
from model.records import Comment, Prediction
from model.registry import shipped_folder
from tests.answers import ROUNDING, assert_same_answer, assert_slices
from tests.golden_answers import LANGUAGES, golden

pytestmark = pytest.mark.slow
DATA = Path(__file__).parent.parent.parent / "data" / "comments"
COUNT = 1000
# Pieces that random text has too seldom: each has its own way of moving offsets.
ODD = [
    "👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "e\u0301", "ä" + "\u0300" * 40, "שלום עולם", "مرحبا", "\u202e",
    "\ud83d", "\udc4d", "\x00", "\x85", "&amp;", "&#128077;", "<br/>", "ﬃ", "Ǆ", "İ", "한글",
    "\u1100\u1161", "Lieferung", "war super", "broken!", "…", "\r\n", "\u00a0", "10/10",
    "12,50 €", "www.a.de",
]  # fmt: skip


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(shipped_folder(), threads=1)


def real_comments() -> list[Comment]:
    """Return a thousand comments: golden ones, then our own, then some of them twice as long."""
    texts = [record["text"] for language in LANGUAGES for record in golden(language)]
    for path in sorted(DATA.glob("*.jsonl")):
        texts += [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]
    texts += [f"{one} {other}" for one, other in zip(texts, texts[::-1], strict=True)]
    return [Comment(id=str(n), text=text) for n, text in enumerate(texts[:COUNT])]


def near_a_border(classifier: Classifier, comment: Comment) -> bool:
    """Tell whether a probability of the comment is so close to a border that rounding decides."""
    (logits,) = classifier.logits([comment])
    calibration, taxonomy = classifier._calibration, classifier.taxonomy
    place = {row: number for number, row in enumerate(classifier._engine.rows.ids)}
    choices = [calibration.feeling(logits[place[COMMENT]])]
    for label in taxonomy.labels:
        over = calibration.presence(logits[place[label]]) - calibration.label_threshold(label)
        if abs(over) < ROUNDING:
            return True
        if over > 0:
            choices.append(calibration.mood(logits[place[label]]))
    for name in taxonomy.signals:
        presence = calibration.warning(logits[place[f"signal:{name}"]])
        if abs(presence - calibration.signal_threshold(name)) < ROUNDING:
            return True
    sorted_choices = [sorted(choice) for choice in choices]
    return any(choice[-1] - choice[-2] < 2 * ROUNDING for choice in sorted_choices)


def differing(classifier: Classifier, one: list[Prediction], other: list[Prediction]) -> list[str]:
    """Return what differs and may not, by id of the comment."""
    found = []
    for comment, first, second in zip(real_comments(), one, other, strict=True):
        try:
            assert_same_answer(first, second)
        except AssertionError as problem:
            if not near_a_border(classifier, comment):
                found.append(f"{comment.id}: {problem}")
    return found


def test_a_comment_gets_the_same_answer_alone_in_a_thousand_and_in_any_order(classifier):
    comments = real_comments()
    assert len(comments) == COUNT
    together = classifier.classify(comments)
    order = list(range(COUNT))
    random.Random(13).shuffle(order)
    shuffled = dict(zip(order, classifier.classify([comments[i] for i in order]), strict=True))
    assert differing(classifier, together, [shuffled[i] for i in range(COUNT)]) == []
    alone = [classifier.classify([comment])[0] for comment in comments]
    assert differing(classifier, together, alone) == []


@settings(deadline=None, max_examples=300)
@given(text=st.text(st.characters(), max_size=300))
def test_evidence_slices_to_its_text_for_any_unicode(classifier, text):
    (prediction,) = classifier.classify([Comment(id="1", text=text)])
    assert_slices(prediction, text)


@settings(deadline=None, max_examples=300)
@given(parts=st.lists(st.sampled_from(ODD) | st.text(st.characters(), max_size=8), max_size=40))
def test_evidence_slices_to_its_text_among_odd_pieces(classifier, parts):
    text = " ".join(["Lieferung schnell, aber Hose kaputt!", *parts])
    (prediction,) = classifier.classify([Comment(id="1", text=text)])
    assert prediction.labels
    assert_slices(prediction, text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_comment_that_is_shouted_gets_the_labels_of_the_same_in_lower_case(classifier, language):
    texts = [record["text"] for record in golden(language) if "ß" not in record["text"]]
    shouted = classifier.classify([Comment(id="a", text=text.upper()) for text in texts])
    quiet = classifier.classify([Comment(id="a", text=text.lower()) for text in texts])
    assert any(said.labels for said in shouted)
    for loud, low, text in zip(shouted, quiet, texts, strict=True):
        assert [label.label for label in loud.labels] == [label.label for label in low.labels]
        for label in loud.labels:
            for piece in label.evidence:
                assert text.upper()[piece.start : piece.end] == piece.text
