"""Judge a model on labelled comments, beside the baselines that it must beat."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from model.certificate import Case, judged_routes
from model.classifier import Classifier
from model.errors import KeywordsError, MissingExtra, RoutingError
from model.keywords import KeywordScorer
from model.records import Comment, Prediction
from model.routing import Router
from model.taxonomy import Taxonomy
from training.baselines import TfidfScorer
from training.behaviour import Pair, made_pairs, try_pairs
from training.bootstrap import Array, difference, interval, sums
from training.corpus import Example
from training.deletion import deletion_test
from training.metrics import Metrics, Tally, gold_prediction, judge, judge_must_route
from training.metrics import must_route as route_of
from training.mistakes import confusions, slices, worst
from training.reliability import calibration_error, reliability
from training.report import MODEL, Closer, Report
from training.risk import risk_coverage

log = logging.getLogger(__name__)
TFIDF, KEYWORDS = "tfidf-svm", "keywords"
# On coarse data the SVM is judged twice: by its labels, as the model is, and by machines of its own
# for just these sets of labels, which is what somebody would build who wanted nothing else.
TFIDF_SETS = "tfidf-svm for sets"
MUST_ROUTE = "must-route"  # sets of cases that may not go to any other team


class Scorer(Protocol):
    """Whatever classifies comments."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""


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
    behaviour: Sequence[Pair] = (),
    beside: Mapping[str, Scorer] | None = None,
) -> Report:
    """Return the report of a model and its baselines on `test`; the SVM learns from `train`.

    With a router the teams are judged as well, and those of the cases in `must_route`. `behaviour`
    are pairs for the model alone, `beside` further models by name.
    """
    tfidf = TfidfScorer(taxonomy=taxonomy).fit(train)
    scorers: dict[str, Scorer] = {MODEL: classifier}
    keywords = _keywords(taxonomy)
    if keywords is not None:
        scorers[KEYWORDS] = keywords
    scorers |= {TFIDF: tfidf, **(beside or {})}
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
        if isinstance(classifier, Classifier) and not coarse:
            closer = look_closer(
                classifier, examples, predictions[MODEL], taxonomy=taxonomy, router=router
            )
            report.closer[name] = closer
            report.sets[name][MODEL].calibration_error = calibration_error(closer.bins)
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
    if behaviour:
        pairs = [*behaviour, *made_pairs(behaviour)]
        report.behaviour.update(try_pairs(classifier, pairs))
    return report


def look_closer(
    classifier: Classifier,
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    taxonomy: Taxonomy,
    router: Router | None,
) -> Closer:
    """Return where and how the model goes wrong on comments that are annotated by label."""
    comments = comments_of(examples)
    probabilities = classifier.probabilities(comments)
    closer = Closer(
        confusions=confusions(examples, predictions),
        worst=worst(examples, predictions, probabilities, taxonomy=taxonomy),
        deletion=deletion_test(classifier, comments, predictions, taxonomy=taxonomy),
        bins=reliability(probabilities, examples, taxonomy),
    )
    for kind, places in slices(examples).items():
        closer.slices[kind] = {
            name: judge(
                [examples[i] for i in chosen],
                [predictions[i] for i in chosen],
                taxonomy=taxonomy,
                router=router,
            )
            for name, chosen in places.items()
        }
    if router is not None:
        cases = cases_of(examples, predictions, taxonomy=taxonomy)
        closer.curve = risk_coverage(*judged_routes(cases, router=router, taxonomy=taxonomy))
    return closer


def cases_of(
    examples: Sequence[Example], predictions: Sequence[Prediction], *, taxonomy: Taxonomy
) -> list[Case]:
    """Return the comments that are annotated in full, with what was said and what is right."""
    return [
        Case(comment=comment, said=said, right=right)
        for example, comment, said in zip(examples, comments_of(examples), predictions, strict=True)
        if (right := gold_prediction(example, taxonomy=taxonomy)) is not None
    ]


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
