"""Comments whose right answers were written before any model was looked at, and its real ones.

`golden/<language>.jsonl` holds what is right, `golden/answers.<language>.json` what the shipped
model says, without confidences: whatever changes an answer shows in a diff. To write it anew:

    python -m tests.golden_answers
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.classifier import Classifier
from model.records import Comment, Prediction, Route
from model.registry import shipped_folder
from model.routing import Router

FOLDER = Path(__file__).parent / "golden"
LANGUAGES = ("de", "en")
Record = dict[str, Any]


def golden(language: str) -> list[Record]:
    """Return the comments of a language with what is right."""
    lines = (FOLDER / f"{language}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def comment_of(record: Record) -> Comment:
    """Return a record as a customer sends it: nobody says which language it is."""
    return Comment(id=record["id"], text=record["text"], score=record["score"])


def answered(prediction: Prediction, route: Route) -> Record:
    """Return what is compared of an answer."""
    labels = [
        {
            "label": label.label,
            "sentiment": label.sentiment,
            "evidence": [evidence.text for evidence in label.evidence],
        }
        for label in sorted(prediction.labels, key=lambda label: label.label)
    ]
    return {
        "sentiment": prediction.sentiment,
        "labels": labels,
        "signals": sorted(signal.signal for signal in prediction.signals),
        "team": route.team,
        "rule": route.rule,
    }


def answers_of(classifier: Classifier, language: str) -> dict[str, Record]:
    """Return id -> answer for the golden comments of a language."""
    comments = [comment_of(record) for record in golden(language)]
    router = Router.load(taxonomy=classifier.taxonomy)
    return {
        comment.id: answered(prediction, router.route(prediction, comment))
        for comment, prediction in zip(comments, classifier.classify(comments), strict=True)
    }


def answers_file(language: str) -> Path:
    """Return the file that keeps the answers."""
    return FOLDER / f"answers.{language}.json"


def write_answers() -> None:
    """Write what the shipped model answers now."""
    classifier = Classifier.load(shipped_folder())
    for language in LANGUAGES:
        text = json.dumps(answers_of(classifier, language), indent=1, ensure_ascii=False)
        answers_file(language).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_answers()
