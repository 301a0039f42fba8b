"""Judge a model on labelled comments, beside the baselines that it must beat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from model.errors import KeywordsError, MissingExtra
from model.keywords import KeywordScorer
from model.records import Comment, Prediction
from model.taxonomy import Taxonomy
from training.baselines import TfidfScorer
from training.corpus import Example
from training.metrics import Metrics, Tally, by_language, judge

log = logging.getLogger(__name__)
MODEL, TFIDF, KEYWORDS = "model", "tfidf-svm", "keywords"
# On coarse data the SVM is judged twice: by its labels, as the model is, and by machines of its own
# for just these sets of labels, which is what somebody would build who wanted nothing else.
TFIDF_SETS = "tfidf-svm for sets"
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
    "evidence_character_f1": "evidence characters F1",
    "coarse_micro_f1": "coarse labels micro-F1",
    "coarse_macro_f1": "coarse labels macro-F1",
}


class Scorer(Protocol):
    """Whatever classifies comments."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by test set ("de", "en", or "coarse en"), then by scorer."""

    sets: dict[str, dict[str, Metrics]]

    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the figures: set -> scorer -> name -> value."""
        return {
            name: {scorer: metrics.summary() for scorer, metrics in scorers.items()}
            for name, scorers in self.sets.items()
        }

    def markdown(self) -> str:
        """Return the report as Markdown tables: figures by scorer, then the model by label."""
        parts = []
        for name, scorers in self.sets.items():
            count = next(iter(scorers.values())).comments
            parts.append(f"### {name} ({count} comments)\n")
            parts.append(_figures_table(scorers))
            metrics = scorers[MODEL]
            for kind, tallies in (
                ("label", metrics.labels),
                ("signal", metrics.signals),
                ("one of", metrics.coarse),
            ):
                if any(tally.cases for tally in tallies.values()):
                    parts.append(_tally_table(kind, tallies))
        return "\n".join(parts)


def comments_of(examples: Sequence[Example]) -> list[Comment]:
    """Return the examples as comments; scorers get no language, since customers send none."""
    return [Comment(id=example.id, text=example.text, score=example.score) for example in examples]


def evaluate(
    classifier: Scorer, *, train: Sequence[Example], test: Sequence[Example], taxonomy: Taxonomy
) -> Report:
    """Return the report of a model and its baselines on `test`; the SVM learns from `train`."""
    tfidf = TfidfScorer(taxonomy=taxonomy).fit(train)
    scorers: dict[str, Scorer] = {MODEL: classifier}
    keywords = _keywords(taxonomy)
    if keywords is not None:
        scorers[KEYWORDS] = keywords
    scorers[TFIDF] = tfidf
    sets: dict[str, dict[str, Metrics]] = {}
    for coarse in (False, True):
        examples = [example for example in test if bool(example.judged) == coarse]
        if not examples:
            continue
        for name, scorer in scorers.items():
            log.info("judging %s on %d comments", name, len(examples))
            predictions = scorer.classify(comments_of(examples))
            for language, metrics in by_language(examples, predictions, taxonomy=taxonomy).items():
                key = f"coarse {language}" if coarse else language
                sets.setdefault(key, {})[name] = metrics
        for language in {example.language for example in examples} if coarse else ():
            of_sets = Metrics(coarse=_coarse(tfidf, examples, language))
            of_sets.comments = sum(example.language == language for example in examples)
            sets[f"coarse {language}"][TFIDF_SETS] = of_sets
    return Report(sets)


def evidence_score(
    classify: Callable[[Sequence[Comment]], list[Prediction]],
    examples: Sequence[Example],
    *,
    taxonomy: Taxonomy,
) -> float:
    """Return the character F1 of evidence on labels that both sides have."""
    return judge(examples, classify(comments_of(examples)), taxonomy=taxonomy).evidence.value


def _keywords(taxonomy: Taxonomy) -> KeywordScorer | None:
    try:
        return KeywordScorer.load(taxonomy=taxonomy)
    except MissingExtra as problem:
        log.warning("without the keyword scorer: %s", problem)
    except KeywordsError:
        log.info("without the keyword scorer: the shipped word lists are for another taxonomy")
    return None


def _coarse(tfidf: TfidfScorer, examples: Sequence[Example], language: str) -> dict[str, Tally]:
    """Return the tallies of sets of labels by the machines that learnt these sets themselves.

    A set that no training data knows is taken as found where one of its labels is.
    """
    chosen = [example for example in examples if example.language == language]
    tallies: dict[str, Tally] = {}
    found = tfidf.groups(comments_of(chosen))
    for row, example in enumerate(chosen):
        for group, present in example.judged.items():
            tally = tallies.setdefault(" | ".join(group), Tally())
            machines = [group] if group in found else [(label,) for label in group]
            tally.add(any(bool(found[machine][row]) for machine in machines), present)
    return tallies


def _figures_table(scorers: dict[str, Metrics]) -> str:
    figures = {name: metrics.summary() for name, metrics in scorers.items()}
    lines = ["| figure | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for key, title in _FIGURES.items():
        values = [found.get(key) for found in figures.values()]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _tally_table(kind: str, tallies: dict[str, Tally]) -> str:
    lines = [f"| {kind} | cases | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, tally in tallies.items():
        if tally.cases or tally.false:
            figures = f"{tally.precision:.2f} | {tally.recall:.2f} | {tally.f1:.2f}"
            lines.append(f"| {name.replace('|', 'or')} | {tally.cases} | {figures} |")
    return "\n".join(lines) + "\n"
