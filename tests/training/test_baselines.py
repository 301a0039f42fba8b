from dataclasses import replace
from itertools import chain

import pytest

from model.routing import Router
from tests.training.tiny import ROUTING
from training.baselines import TfidfScorer
from training.corpus import Example
from training.evaluate import TFIDF, TFIDF_SETS, comments_of, evaluate
from training.metrics import judge
from training.report import MODEL


@pytest.fixture(scope="module")
def learnt(parts):
    return list(chain(*parts.data.train))


@pytest.fixture(scope="module")
def scorer(parts, learnt):
    return TfidfScorer(taxonomy=parts.taxonomy).fit(learnt)


def test_the_linear_baseline_learns_labels_sentiments_and_signals(scorer, parts):
    predictions = scorer.classify(comments_of(parts.data.test))
    figures = judge(parts.data.test, predictions, taxonomy=parts.taxonomy).summary()
    assert figures["label_micro_f1"] > 0.9
    assert figures["signal_micro_f1"] > 0.9
    assert figures["clear_sentiment_accuracy"] > 0.8
    assert figures["evidence_character_f1"] == 0


def test_a_decision_that_nobody_annotated_is_never_made(parts, learnt):
    label = next(iter(parts.taxonomy.labels))
    unknown = [
        replace(
            example,
            labels={key: note for key, note in example.labels.items() if key != label},
            absent=example.absent - {label},
            signals=None,
            sentiment=None,
        )
        for example in learnt
    ]
    scorer = TfidfScorer(taxonomy=parts.taxonomy).fit(unknown)
    predictions = scorer.classify(comments_of(learnt))
    assert {found.label for p in predictions for found in p.labels} == {
        *list(parts.taxonomy.labels)[1:]
    }
    assert not any(prediction.signals for prediction in predictions)
    assert {prediction.sentiment for prediction in predictions} == {"neutral"}


def coarse(example, *groups):
    """Return the example as coarse data would know it: only whether a set of labels is present."""
    judged = {group: any(label in example.labels for label in group) for group in groups}
    return Example(id=example.id, text=example.text, language=example.language, judged=judged)


ROOM, FOOD = ("room.clean", "room.noise"), ("food.breakfast",)


def test_sets_of_labels_are_learnt_from_coarse_data(parts, learnt):
    scorer = TfidfScorer(taxonomy=parts.taxonomy).fit([coarse(e, ROOM, FOOD) for e in learnt])
    found = scorer.groups(comments_of(parts.data.test))
    truth = [any(label in e.labels for label in ROOM) for e in parts.data.test]
    agreed = sum(said == true for said, true in zip(found[ROOM], truth, strict=True))
    assert agreed / len(truth) > 0.9


@pytest.mark.parametrize("known", [True, False])
def test_coarse_comments_are_judged_whether_or_not_training_knew_their_sets(known, parts, learnt):
    train = [*learnt, *([coarse(e, ROOM, FOOD) for e in learnt] if known else [])]
    test = [*parts.data.test, *(coarse(e, ROOM, FOOD) for e in parts.data.test)]
    report = evaluate(
        TfidfScorer(taxonomy=parts.taxonomy).fit(learnt),
        train=train,
        test=test,
        taxonomy=parts.taxonomy,
    )
    assert set(report.sets) == {"de", "en", "coarse de", "coarse en"}
    for language in ("de", "en"):
        figures = report.figures()[f"coarse {language}"]
        assert figures[MODEL]["coarse_micro_f1"] > 0.85
        assert figures[TFIDF]["coarse_micro_f1"] > 0.85
        assert figures[TFIDF_SETS]["coarse_micro_f1"] > 0.85
        assert {found["comments"] for found in figures.values()} == {20}


def test_a_report_has_a_table_of_figures_for_each_set_and_the_model_by_label(parts, learnt, scorer):
    test = [*parts.data.test, *(coarse(e, ROOM, FOOD) for e in parts.data.test)]
    text = evaluate(scorer, train=learnt, test=test, taxonomy=parts.taxonomy).markdown()
    assert text.count("| figure | model | tfidf-svm |\n") == 2
    assert text.count("| figure | model | tfidf-svm | tfidf-svm for sets |\n") == 2
    assert "### de (20 comments)" in text
    assert "| food.breakfast | " in text
    assert "| room.clean or room.noise | " in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in lines} == {3, 4, 5, 6}


def test_a_report_says_how_sure_its_figures_are(parts, learnt, scorer):
    report = evaluate(scorer, train=learnt, test=parts.data.test, taxonomy=parts.taxonomy)
    for language in ("de", "en"):
        figures = report.figures()[language]
        low, high = figures[MODEL]["label_micro_f1_95"]
        assert low <= figures[MODEL]["label_micro_f1"] <= high
        low, high = figures[TFIDF]["model_ahead_label_micro_f1_95"]
        ahead = figures[MODEL]["label_micro_f1"] - figures[TFIDF]["label_micro_f1"]
        assert low <= ahead + 1e-4
        assert ahead - 1e-4 <= high
    assert "| the model is ahead by | tfidf-svm |" in report.markdown()


def test_cases_that_go_astray_are_named_without_their_text(parts, learnt, scorer, tmp_path):
    (tmp_path / "routing.toml").write_text(ROUTING, "utf-8")
    router = Router.load(tmp_path / "routing.toml", taxonomy=parts.taxonomy)
    case = Example(id="case-1", text="Nichts davon.", language="de", signals=frozenset({"pest"}))
    report = evaluate(
        scorer,
        train=learnt,
        test=parts.data.test,
        taxonomy=parts.taxonomy,
        router=router,
        must_route=[case],
    )
    assert report.figures()["must-route de"][MODEL]["route_accuracy"] == 0
    text = report.markdown()
    assert "case-1 to desk instead of house" in text
    assert case.text not in text
