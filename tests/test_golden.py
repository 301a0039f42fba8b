from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from model.classifier import Classifier
from model.records import Comment, Evidence, LabelScore, Prediction, Sentiment
from model.registry import shipped_folder
from model.routing import Router
from model.taxonomy import load_taxonomy
from tests.fakes import WordClassifier
from tests.golden_answers import (
    LANGUAGES,
    Record,
    answers_file,
    answers_of,
    comment_of,
    golden,
)

ENOUGH = 20  # comments of each language that must be wholly right
EXAMPLE = Comment(
    id="a1",
    text="Lieferung super schnell, aber die Hose war kaputt und am Telefon ging niemand ran.",
    score=4,
)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier.load(shipped_folder(), threads=1)


def plain(text: str) -> str:
    """Return the letters and digits of a text: what is left of it when only looks are changed."""
    return "".join(char for char in text.casefold() if char.isalnum())


def is_right(record: Record, prediction: Prediction) -> bool:
    """Tell whether the labels with their sentiments are right and the evidence overlaps."""
    expected = {(label["label"], label["sentiment"]) for label in record["labels"]}
    found = {(label.label, label.sentiment) for label in prediction.labels}
    if expected != found:
        return False
    evidence = {label.label: label.evidence for label in prediction.labels}
    for label in record["labels"]:
        start = record["text"].index(label["evidence"])
        end = start + len(label["evidence"])
        if not any(run.start < end and start < run.end for run in evidence[label["label"]]):
            return False
    return True


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_golden_comments_are_more_than_enough_and_fit_the_taxonomy(language):
    taxonomy, records = load_taxonomy(), golden(language)
    assert len({record["id"] for record in records}) == len(records) >= ENOUGH
    for record in records:
        assert record["language"] == language
        assert set(record["signals"]) <= set(taxonomy.signals)
        for label in record["labels"]:
            assert label["label"] in taxonomy.labels
            assert label["evidence"] in record["text"]


def test_no_golden_comment_is_among_those_that_the_model_learns_from():
    data = Path(__file__).parent.parent / "data" / "comments"
    texts = {plain(record["text"]) for language in LANGUAGES for record in golden(language)}
    files = sorted(data.glob("*.jsonl"))
    assert files
    for path in files:
        for line in path.read_text("utf-8").splitlines():
            assert plain(json.loads(line)["text"]) not in texts


def expected_of(record: Record) -> Prediction:
    """Return the prediction that is right."""
    return Prediction(
        language=record["language"],
        sentiment=record["sentiment"],
        confidence=1.0,
        labels=tuple(
            LabelScore(
                label=label["label"],
                area=label["label"].partition(".")[0],
                sentiment=label["sentiment"],
                confidence=1.0,
                sentiment_confidence=1.0,
                evidence=(evidence_at(record["text"], label["evidence"]),),
            )
            for label in record["labels"]
        ),
    )


def evidence_at(text: str, words: str) -> Evidence:
    start = text.index(words)
    return Evidence(start=start, end=start + len(words), text=words)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_answer_is_right_only_if_all_of_it_is(language):
    for record in golden(language):
        right = expected_of(record)
        assert is_right(record, right)
        for n, label in enumerate(right.labels):
            rest = right.labels[:n] + right.labels[n + 1 :]
            assert not is_right(record, replace(right, labels=rest))
            assert not is_right(record, replace(right, labels=(*rest, replace(label, label="x"))))
            mood: Sentiment = "negative" if label.sentiment == "positive" else "positive"
            turned = replace(label, sentiment=mood)
            assert not is_right(record, replace(right, labels=(*rest, turned)))
            unproven = replace(label, evidence=())
            assert not is_right(record, replace(right, labels=(*rest, unproven)))


@pytest.mark.parametrize("language", LANGUAGES)
def test_answers_are_kept_by_id_with_team_and_rule(language):
    answers = answers_of(WordClassifier(), language)
    assert list(answers) == [record["id"] for record in golden(language)]
    for answer in answers.values():
        assert set(answer) == {"sentiment", "labels", "signals", "team", "rule"}
        assert answer["team"]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_changed_answer_shows_in_a_diff(classifier, language):
    # Where a change is meant: python -m tests.golden_answers, and look at the diff.
    stored = json.loads(answers_file(language).read_text("utf-8"))
    assert answers_of(classifier, language) == stored


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_enough_golden_comments_are_wholly_right(classifier, language):
    records = golden(language)
    predictions = classifier.classify([comment_of(record) for record in records])
    right = [
        record["id"]
        for record, prediction in zip(records, predictions, strict=True)
        if is_right(record, prediction)
    ]
    assert len(right) >= ENOUGH


@pytest.mark.slow
def test_three_topics_in_one_sentence_are_all_found_and_routed(classifier):
    (prediction,) = classifier.classify([EXAMPLE])
    assert prediction.language == "de"
    found = {label.label: label for label in prediction.labels}
    moods = {label: score.sentiment for label, score in found.items()}
    assert moods == {
        "delivery.speed": "positive",
        "product.quality": "negative",
        "service.availability": "negative",
    }
    words = {label: " ".join(run.text for run in score.evidence) for label, score in found.items()}
    assert "schnell" in words["delivery.speed"]
    assert "kaputt" in words["product.quality"]
    reached = words["service.availability"]
    assert "niemand ran" in reached or "Telefon" in reached
    route = Router.load(taxonomy=classifier.taxonomy).route(prediction, EXAMPLE)
    assert (route.team, route.rule) == ("product", "broken-product")
    assert "customer-service" in route.also
