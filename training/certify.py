"""Test a finished model on comments kept for it, and put what can be promised into its folder.

The certificate holds no text (model/certificate.py). The comments must have served nothing else:
not training, not thresholds, not a choice between models.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from model.artifact import read_manifest, write_artifact
from model.certificate import CERTIFICATE, CONFIDENCE, Certificate, promised_certainty
from model.classifier import Classifier
from model.errors import ConfigError
from model.policy import ReviewPolicy
from model.records import Route
from model.routing import Router
from model.taxonomy import Taxonomy
from training.corpus import Example
from training.evaluate import cases_of, comments_of, look_closer
from training.metrics import judge
from training.publish import CARD
from training.report import MODEL, Report

log = logging.getLogger(__name__)
RISK = 0.05
_HEAD = "## What is promised\n"


def certify(
    folder: Path, examples: Sequence[Example], *, taxonomy: Taxonomy, router: Router
) -> str:
    """Write the certificate of the model in `folder`, add it to its card, and return what it says.

    Raises `ConfigError` where no comment is annotated in full.
    """
    classifier = Classifier.load(folder, taxonomy=taxonomy)
    predictions = classifier.classify(comments_of(examples))
    cases = cases_of(examples, predictions, taxonomy=taxonomy)
    if not cases:
        raise ConfigError("certify: no comment has labels, signals and sentiment in full")
    Certificate.of(cases, taxonomy=taxonomy).write(folder / CERTIFICATE)
    said = Certificate.read(folder / CERTIFICATE)  # as it will be read, rounding included
    certainty = promised_certainty(
        said, router=router, taxonomy=taxonomy, languages=classifier.languages, risk=RISK
    )
    policy = ReviewPolicy.load(
        said, router=router, taxonomy=taxonomy, languages=classifier.languages, risk=RISK
    )
    routes: list[Route] = [router.route(case.said, case.comment) for case in cases]
    reasons = policy.reasons(
        [case.said for case in cases], [case.comment for case in cases], routes
    )
    free = sum(not found for found in reasons) / len(cases)
    report = Report({})
    for language in sorted({example.language for example in examples}):
        chosen = [i for i, example in enumerate(examples) if example.language == language]
        part, found = [examples[i] for i in chosen], [predictions[i] for i in chosen]
        closer = look_closer(classifier, part, found, taxonomy=taxonomy, router=router)
        name = f"certify {language}"
        report.sets[name] = {MODEL: judge(part, found, taxonomy=taxonomy, router=router)}
        report.closer[name] = closer
    text = _text(certainty, count=len(cases), free=free) + "\n" + report.markdown()
    _add_to_card(folder / CARD, text)
    manifest = read_manifest(folder)
    manifest["certified"] = {
        "comments": len(cases),
        "risk": RISK,
        "confidence": CONFIDENCE,
        "certainty": certainty,
        "not_flagged": round(free, 4),
        "figures": {name: found[MODEL] for name, found in report.figures().items()},
    }
    write_artifact(folder, manifest)
    return text


def _text(certainty: float | None, *, count: int, free: float) -> str:
    tested = (
        f"Tested on {count} comments that served nothing else, with the shipped routing rules: "
    )
    if certainty is None:
        return tested + (
            f"at a risk of {RISK:.0%} nothing can be promised, so every route is flagged for "
            "review.\n"
        )
    return tested + (
        f"of the routes that are not flagged for review at most {RISK:.0%} go to a wrong team or "
        f"have a wrong priority, with a probability of {CONFIDENCE:.0%} (learn then test, exact "
        f"binomial bound). {free:.0%} of these comments are not flagged (certainty from "
        f"{certainty:.2f} up).\n"
    )


def _add_to_card(path: Path, text: str) -> None:
    card = path.read_text("utf-8") if path.is_file() else ""
    card = card.split(_HEAD)[0].rstrip()
    path.write_text(f"{card}\n\n{_HEAD}\n{text}", encoding="utf-8")
