"""Judge a model on labelled comments, beside the baselines that it must beat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from model.classifier import Classifier
from model.errors import KeywordsError, MissingExtra, RoutingError
from model.keywords import KeywordScorer
from model.records import Comment, Prediction
from model.routing import Router
from model.taxonomy import Taxonomy
from training.baselines import TfidfScorer
from training.bootstrap import Array, Interval, difference, interval, sums
from training.corpus import Example
from training.metrics import Metrics, Tally, judge, judge_must_route
from training.metrics import must_route as route_of
from training.reliability import calibration_error

log = logging.getLogger(__name__)
MODEL, TFIDF, KEYWORDS = "model", "tfidf-svm", "keywords"
# On coarse data the SVM is judged twice: by its labels, as the model is, and by machines of its own
# for just these sets of labels, which is what somebody would build who wanted nothing else.
TFIDF_SETS = "tfidf-svm for sets"
MUST_ROUTE = "must-route"  # sets of cases that may not go to any other team
_FIGURES = {
    "label_micro_f1": "label micro-F1",
    "label_precision": "precision",
    "label_recall": "recall",
    "label_macro_f1": "label macro-F1 (≥ 5 cases)",
    "label_sentiment_micro_f1": "label with sentiment",
    "area_micro_f1": "area micro-F1",
    "sentiment_accuracy": "comment sentiment",
    "clear_sentiment_accuracy": "comment sentiment, not neutral",
    "signal_micro_f1": "signal micro-F1",
    "route_accuracy": "right team (a rule is for the comment)",
    "route_commonest": "always the commonest team",
    "evidence_character_f1": "evidence characters F1",
    "label_calibration_error": "calibration error of labels (from .2 up)",
    "coarse_micro_f1": "coarse labels micro-F1",
    "coarse_macro_f1": "coarse labels macro-F1",
}


class Scorer(Protocol):
    """Whatever classifies comments."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by test set ("de", "en", or "coarse en"), then by scorer.

    `intervals` are those of the model's figures, `leads` those of what the model is ahead of each
    other scorer, on the same comments.
    """

    sets: dict[str, dict[str, Metrics]]
    astray: dict[str, list[str]] = field(default_factory=dict)  # must-route cases the model missed
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    leads: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)

    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the figures: set -> scorer -> name -> value; `…_95` are intervals."""
        found = {
            name: {scorer: metrics.summary() for scorer, metrics in scorers.items()}
            for name, scorers in self.sets.items()
        }
        for name, intervals in self.intervals.items():
            found[name][MODEL] |= {f"{key}_95": [i.low, i.high] for key, i in intervals.items()}
        for name, leads in self.leads.items():
            for scorer, of_figures in leads.items():
                found[name][scorer] |= {
                    f"model_ahead_{key}_95": [i.low, i.high] for key, i in of_figures.items()
                }
        return found

    def markdown(self) -> str:
        """Return the report as Markdown tables: figures by scorer, then the model by label."""
        parts = []
        for name, scorers in self.sets.items():
            count = next(iter(scorers.values())).comments
            parts.append(f"### {name} ({count} comments)\n")
            parts.append(_figures_table(scorers, self.intervals.get(name, {})))
            parts += _leads_table(self.leads.get(name, {}))
            if astray := self.astray.get(name):
                parts.append("Sent elsewhere by the model: " + "; ".join(astray) + ".\n")
            metrics = scorers[MODEL]
            for kind, tallies in (
                ("label", metrics.labels),
                ("signal", metrics.signals),
                ("one of", metrics.coarse),
                ("team", metrics.teams),
            ):
                if any(tally.cases for tally in tallies.values()):
                    parts.append(_tally_table(kind, tallies))
        return "\n".join(parts)


def comments_of(examples: Sequence[Example]) -> list[Comment]:
    """Return the examples as comments; scorers get no language, since customers send none."""
    return [Comment(id=example.id, text=example.text, score=example.score) for example in examples]


def evaluate(
    classifier: Scorer,
    *,
    train: Sequence[Example],
    test: Sequence[Example],
    taxonomy: Taxonomy,
    router: Router | None = None,
    must_route: Sequence[Example] = (),
) -> Report:
    """Return the report of a model and its baselines on `test`; the SVM learns from `train`.

    With a router the teams are judged as well, and those of the cases in `must_route`.
    """
    tfidf = TfidfScorer(taxonomy=taxonomy).fit(train)
    scorers: dict[str, Scorer] = {MODEL: classifier}
    keywords = _keywords(taxonomy)
    if keywords is not None:
        scorers[KEYWORDS] = keywords
    scorers[TFIDF] = tfidf
    report = Report({})
    for coarse, language in sorted({(bool(e.judged), e.language) for e in test}):
        examples = [e for e in test if (bool(e.judged), e.language) == (coarse, language)]
        name = f"coarse {language}" if coarse else language
        log.info("judging on %d comments: %s", len(examples), name)
        comments = comments_of(examples)
        predictions = {scorer: judged.classify(comments) for scorer, judged in scorers.items()}
        report.sets[name] = {
            scorer: judge(examples, said, taxonomy=taxonomy, router=router)
            for scorer, said in predictions.items()
        }
        if isinstance(classifier, Classifier):
            report.sets[name][MODEL].calibration_error = calibration_error(
                classifier.probabilities(comments), examples, taxonomy
            )
        rows = {
            scorer: sums(examples, said, taxonomy=taxonomy, router=router)
            for scorer, said in predictions.items()
        }
        _doubt(report, name, rows)
        if coarse:
            of_sets = Metrics(comments=len(examples), coarse=_coarse(tfidf, examples))
            report.sets[name][TFIDF_SETS] = of_sets
    if router is not None:
        _must_route(report, scorers, must_route, router=router)
    return report


def _must_route(
    report: Report, scorers: dict[str, Scorer], cases: Sequence[Example], *, router: Router
) -> None:
    """Add how many cases of each language reach the team that they must reach."""
    for language in sorted({case.language for case in cases}):
        chosen = [case for case in cases if case.language == language]
        name = f"{MUST_ROUTE} {language}"
        predictions = {s: judged.classify(comments_of(chosen)) for s, judged in scorers.items()}
        report.sets[name] = {
            scorer: judge_must_route(chosen, said, router=router)
            for scorer, said in predictions.items()
        }
        report.astray[name] = [
            f"{case.id} to {found} instead of {right}"
            for case, said in zip(chosen, predictions[MODEL], strict=True)
            for right, found in [route_of(case, said, router=router)]
            if found != right
        ]


def _doubt(report: Report, name: str, rows: dict[str, dict[str, Array]]) -> None:
    """Add the intervals of one test set; `rows`: scorer -> figure -> [comments, 2]."""
    ours = rows[MODEL]
    report.intervals[name] = {
        key: found for key, values in ours.items() if (found := interval(values)) is not None
    }
    report.leads[name] = {
        scorer: {
            key: found for key in ours if (found := difference(ours[key], theirs[key])) is not None
        }
        for scorer, theirs in rows.items()
        if scorer != MODEL
    }


def evidence_score(
    classify: Callable[[Sequence[Comment]], list[Prediction]],
    examples: Sequence[Example],
    *,
    taxonomy: Taxonomy,
) -> float:
    """Return the character F1 of evidence on labels that both sides have."""
    return judge(examples, classify(comments_of(examples)), taxonomy=taxonomy).evidence.value


def router_for(taxonomy: Taxonomy, *, path: Path | None = None) -> Router | None:
    """Return the router of a file; without one the shipped, None if that is for other labels."""
    if path is not None:
        return Router.load(path, taxonomy=taxonomy)
    try:
        return Router.load(taxonomy=taxonomy)
    except RoutingError:
        log.info("without routes: the shipped rules are for another taxonomy")
    return None


def _keywords(taxonomy: Taxonomy) -> KeywordScorer | None:
    try:
        return KeywordScorer.load(taxonomy=taxonomy)
    except MissingExtra as problem:
        log.warning("without the keyword scorer: %s", problem)
    except KeywordsError:
        log.info("without the keyword scorer: the shipped word lists are for another taxonomy")
    return None


def _coarse(tfidf: TfidfScorer, examples: Sequence[Example]) -> dict[str, Tally]:
    """Return the tallies of sets of labels by the machines that learnt these sets themselves.

    A set that no training data knows is taken as found where one of its labels is.
    """
    tallies: dict[str, Tally] = {}
    found = tfidf.groups(comments_of(examples))
    for row, example in enumerate(examples):
        for group, present in example.judged.items():
            tally = tallies.setdefault(" | ".join(group), Tally())
            machines = [group] if group in found else [(label,) for label in group]
            tally.add(any(bool(found[machine][row]) for machine in machines), present)
    return tallies


def _figures_table(scorers: dict[str, Metrics], intervals: dict[str, Interval]) -> str:
    figures = {name: metrics.summary() for name, metrics in scorers.items()}
    lines = ["| figure | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for key, title in _FIGURES.items():
        values = [found.get(key) for found in figures.values()]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            if doubt := intervals.get(key):
                cells[0] += f" ({doubt.low:.3f} to {doubt.high:.3f})"
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _leads_table(leads: dict[str, dict[str, Interval]]) -> list[str]:
    if not leads:
        return []
    lines = [
        "| the model is ahead by | " + " | ".join(leads) + " |",
        "|---" * (len(leads) + 1) + "|",
    ]
    for key, title in _FIGURES.items():
        found = [of_figures.get(key) for of_figures in leads.values()]
        if any(found):
            cells = [f"{i.low:+.3f} to {i.high:+.3f}" if i else "" for i in found]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return ["\n".join(lines) + "\n"]


def _tally_table(kind: str, tallies: dict[str, Tally]) -> str:
    lines = [f"| {kind} | cases | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, tally in tallies.items():
        if tally.cases or tally.false:
            figures = f"{tally.precision:.2f} | {tally.recall:.2f} | {tally.f1:.2f}"
            lines.append(f"| {name.replace('|', 'or')} | {tally.cases} | {figures} |")
    return "\n".join(lines) + "\n"
