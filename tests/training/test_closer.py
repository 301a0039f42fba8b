"""Slices, confusions, the worst mistakes, the deletion test, risk by coverage, plots."""

from __future__ import annotations

import numpy as np
import pytest

from model.records import Comment, Evidence, LabelScore, Prediction
from training.corpus import Example, LabelNote
from training.deletion import deletion_test
from training.metrics import Metrics, Tally, word_f1
from training.mistakes import WORST, confusions, slices, worst
from training.plots import draw
from training.reliability import Bin
from training.report import MODEL, Closer, Report
from training.risk import risk_coverage

CLEAN, NOISE, MEAL = "room.clean", "room.noise", "food.breakfast"


def example(number, *present, text="so ein Text", **properties):
    return Example(
        id=str(number),
        text=text,
        language="de",
        labels={label: LabelNote(sentiment="negative") for label in present},
        absent=frozenset({CLEAN, NOISE, MEAL}) - set(present),
        properties=properties,
    )


def said(*labels, evidence=()):
    return Prediction(
        language="de",
        sentiment="negative",
        confidence=1.0,
        labels=tuple(
            LabelScore(
                label=label,
                area=label.partition(".")[0],
                sentiment="negative",
                confidence=1.0,
                sentiment_confidence=1.0,
                evidence=tuple(evidence),
            )
            for label in labels
        ),
    )


def test_slices_are_by_trade_and_length_and_small_ones_are_left_out():
    examples = [example(n, text="gut", domain="bank") for n in range(12)]
    examples += [example(n, text="wort " * 70, sector="shop") for n in range(12, 23)]
    examples += [example(n, text="ein paar Worte mehr als fünf") for n in range(23, 30)]
    found = slices(examples)
    assert found["sector"] == {"bank": list(range(12)), "shop": list(range(12, 23))}
    assert found["length"] == {
        "up to 5 words": list(range(12)),
        "more than 60 words": list(range(12, 23)),
    }


def test_a_label_is_taken_for_another_where_one_is_missed_and_the_other_wrong():
    examples = [example(n, NOISE) for n in range(3)] + [example(3, CLEAN), example(4)]
    found = confusions(examples, [said(CLEAN), said(CLEAN), said(NOISE), said(MEAL), said(MEAL)])
    assert [(c.true, c.said, c.count) for c in found] == [(NOISE, CLEAN, 2), (CLEAN, MEAL, 1)]


def test_the_worst_mistakes_come_first_and_right_answers_not_at_all(parts):
    examples = [example(n, NOISE, text=f"Text {n}") for n in range(60)]
    predictions = [said(NOISE)] + [said(CLEAN)] * 59
    rows = np.full((60, 3), 0.5, dtype=np.float32)
    rows[7] = [0.999, 0.001, 0.5]
    found = worst(examples, predictions, rows, taxonomy=parts.taxonomy)
    assert len(found) == WORST
    assert found[0].example.id == "7"
    assert (found[0].missed, found[0].false) == ((NOISE,), (CLEAN,))
    assert "0" not in {mistake.example.id for mistake in found}
    assert "missed room.noise, wrong room.clean" in found[0].markdown()
    assert "Text 7" in found[0].markdown()


class Hears:
    """Believes in noise as far as the word for it is there."""

    def probabilities(self, comments):
        return np.array([[0.1, 0.9 if "laut" in c.text else 0.2, 0.1] for c in comments])


def test_without_its_evidence_a_label_fades_more_than_without_other_words(parts):
    text = "Das Zimmer war sehr laut und das Bett schmal"
    start = text.index("laut")
    piece = Evidence(start=start, end=start + 4, text="laut")
    comments = [Comment(id=str(n), text=text) for n in range(20)]
    predictions = [said(NOISE, evidence=[piece])] * 20
    found = deletion_test(Hears(), comments, predictions, taxonomy=parts.taxonomy)
    assert found is not None
    assert found.cases == 20
    assert found.without_evidence == pytest.approx(0.7)
    assert found.without_random == pytest.approx(0)
    assert found.more_often == 1
    assert found.summary()["evidence_matters_more"] == 1


def test_a_comment_that_is_all_evidence_cannot_be_tried(parts):
    piece = Evidence(start=0, end=4, text="laut")
    predictions = [said(NOISE, evidence=[piece])]
    comments = [Comment(id="a", text="laut")]
    assert deletion_test(Hears(), comments, predictions, taxonomy=parts.taxonomy) is None


def test_the_risk_is_that_of_the_surest_comments():
    curve = risk_coverage([0.9, 0.2, 0.8, 0.6], [True, False, True, False])
    assert curve is not None
    assert [curve.risk(share) for share in (0.25, 0.5, 0.75, 1.0)] == pytest.approx(
        [0, 0, 1 / 3, 0.5]
    )
    assert risk_coverage([], []) is None


def test_of_equally_sure_routes_the_wrong_ones_count_first():
    curve = risk_coverage([0.5, 0.5], [True, False])
    assert curve is not None
    assert curve.risk(0.5) == 1


def test_words_count_that_evidence_touches():
    text = "Bett war hart, Frühstück kalt"
    assert word_f1([(0, 13)], (0, 13), text=text) == 1
    assert word_f1([(0, 4)], (0, 13), text=text) == pytest.approx(0.5)
    assert word_f1([], (0, 13), text=text) == 0


def test_a_report_is_drawn_and_set_down_in_tables(tmp_path):
    metrics = Metrics(comments=4, labels={CLEAN: Tally(2, 1, 0), NOISE: Tally(0, 0, 1)})
    closer = Closer(
        bins=[Bin(0.3, 0.2, 5), Bin(0.9, 1.0, 5)],
        curve=risk_coverage([0.9, 0.5], [True, False]),
        slices={"length": {"up to 5 words": metrics}},
        confusions=confusions([example(0, NOISE)], [said(CLEAN)]),
    )
    report = Report({"de": {MODEL: metrics}}, closer={"de": closer})
    drawn = draw(report, tmp_path)
    assert [path.name for path in drawn] == ["reliability.svg", "risk-coverage.svg", "labels.svg"]
    assert all("</svg>" in path.read_text("utf-8") for path in drawn)
    text = report.markdown()
    assert "| up to 5 words | 4 | 0.667 |" in text
    assert "| room.noise | room.clean | 1 |" in text
    assert "| 50% | 0.000 |" in text
    assert report.figures()["de"][MODEL]["reliability"] == [[0.3, 0.2, 5], [0.9, 1.0, 5]]


def test_a_report_without_anything_to_draw_draws_nothing(tmp_path):
    assert draw(Report({"coarse de": {MODEL: Metrics()}}), tmp_path) == []
