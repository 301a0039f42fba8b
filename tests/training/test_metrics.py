from dataclasses import replace

import pytest

from model.records import Evidence, LabelScore, Prediction, SignalScore
from model.routing import Router
from tests.training.tiny import ROUTING
from training.corpus import Example, LabelNote
from training.metrics import (
    Share,
    Tally,
    character_f1,
    gold_prediction,
    judge,
    judge_must_route,
    macro,
    micro,
)

CLEAN, NOISE, MEAL = "room.clean", "room.noise", "food.breakfast"


def example(*notes, language="de", sentiment="negative", signals=frozenset(), **more):
    labels = {label: LabelNote(sentiment=mood, evidence=span) for label, mood, span in notes}
    return Example(
        id="x",
        text="x" * 40,
        language=language,
        sentiment=sentiment,
        labels=labels,
        absent=frozenset({CLEAN, NOISE, MEAL}) - set(labels),
        signals=signals,
        **more,
    )


def said(*labels, sentiment="negative", signals=()):
    return Prediction(
        language="de",
        sentiment=sentiment,
        confidence=0.9,
        labels=tuple(
            LabelScore(
                label=label,
                area=label.split(".")[0],
                sentiment=mood,
                confidence=0.9,
                sentiment_confidence=0.9,
                evidence=(Evidence(start=span[0], end=span[1], text="…"),) if span else (),
            )
            for label, mood, span in labels
        ),
        signals=tuple(SignalScore(signal=signal, confidence=0.9) for signal in signals),
    )


@pytest.fixture
def taxonomy(parts):
    return parts.taxonomy


def test_figures_of_three_comments_are_what_a_hand_count_says(taxonomy):
    examples = [
        example(
            (CLEAN, "negative", (0, 10)), (MEAL, "positive", None), signals=frozenset({"pest"})
        ),
        example((NOISE, "positive", (5, 15)), sentiment="positive"),
        example(sentiment="neutral"),
    ]
    predictions = [
        said((CLEAN, "negative", (5, 15)), (MEAL, "negative", None), signals=["pest"]),
        said((CLEAN, "negative", None), sentiment="positive"),
        said((MEAL, "positive", None), sentiment="negative", signals=["pest"]),
    ]
    metrics = judge(examples, predictions, taxonomy=taxonomy)
    assert metrics.labels[CLEAN] == Tally(hits=1, false=1, missed=0)
    assert metrics.labels[NOISE] == Tally(hits=0, false=0, missed=1)
    assert metrics.labels[MEAL] == Tally(hits=1, false=1, missed=0)
    assert metrics.with_sentiment == Tally(hits=1, false=3, missed=2)
    assert metrics.areas["room"] == Tally(hits=2, false=0, missed=0)
    assert metrics.areas["food"] == Tally(hits=1, false=1, missed=0)
    assert metrics.summary() == {
        "comments": 3,
        "label_micro_f1": round(4 / 7, 4),
        "label_precision": 0.5,
        "label_recall": round(2 / 3, 4),
        "label_macro_f1": 0.0,  # no label has five cases
        "label_sentiment_micro_f1": round(2 / 7, 4),
        "area_micro_f1": round(6 / 7, 4),
        "sentiment_accuracy": round(2 / 3, 4),
        "sentiment_macro_f1": 0.0,  # no sentiment either
        "clear_sentiment_accuracy": 1.0,
        "signal_micro_f1": round(2 / 3, 4),
        "evidence_character_f1": 0.5,
        "evidence_word_f1": 1.0,
    }


def test_what_is_not_annotated_is_not_judged(taxonomy):
    bare = Example(id="x", text="hm", language="de")
    metrics = judge([bare], [said((CLEAN, "negative", None), signals=["pest"])], taxonomy=taxonomy)
    assert metrics.summary() == {"comments": 1}


def test_a_label_whose_sentiment_is_open_is_judged_without_it(taxonomy):
    metrics = judge(
        [example((CLEAN, None, None))], [said((CLEAN, "positive", None))], taxonomy=taxonomy
    )
    assert metrics.labels[CLEAN] == Tally(hits=1)
    assert metrics.with_sentiment == Tally()


def test_coarse_comments_are_judged_by_sets_of_labels_alone(taxonomy):
    groups = {(CLEAN, NOISE): True, (MEAL,): False}
    coarse = Example(id="c", text="x", language="en", judged=groups, absent=frozenset({MEAL}))
    prediction = said((NOISE, "negative", None), (MEAL, "negative", None))
    metrics = judge([coarse], [prediction], taxonomy=taxonomy)
    assert metrics.labels == {}
    assert metrics.coarse == {f"{CLEAN} | {NOISE}": Tally(hits=1), MEAL: Tally(false=1)}
    assert metrics.summary()["coarse_micro_f1"] == round(2 / 3, 4)


def test_a_macro_average_leaves_out_what_has_fewer_than_five_cases():
    tallies = {"a": Tally(hits=5), "b": Tally(hits=3, false=2, missed=2), "c": Tally(missed=4)}
    assert macro(tallies) == pytest.approx((1 + 6 / 10) / 2)
    assert macro({}) == 0
    assert micro(tallies) == Tally(hits=8, false=2, missed=6)


@pytest.mark.parametrize(
    ("spans", "true", "f1"),
    [
        ([(0, 10)], (0, 10), 1.0),
        ([(0, 4)], (6, 10), 0.0),
        ([(0, 5)], (0, 10), 2 * 5 / 15),
        ([(0, 2), (8, 10)], (0, 10), 2 * 4 / 14),
        ([(0, 6), (4, 10)], (0, 10), 1.0),
        ([], (0, 10), 0.0),
    ],
)
def test_the_f1_of_characters_counts_each_once(spans, true, f1):
    assert character_f1(spans, true) == pytest.approx(f1)


RULES = """
[teams]
house = { en = "Housekeeping", de = "Hausdame" }
kitchen = { en = "Kitchen", de = "Küche" }
desk = { en = "Reception", de = "Empfang" }
[actions]
apologise = { en = "Apologise", de = "Entschuldigen" }
[[rules]]
name = "dirty"
when = { label = "room.clean", sentiment = "negative" }
team = "house"
priority = "high"
due_hours = 4
actions = ["apologise"]
[[rules]]
name = "meal"
when = { label = "food.breakfast", segment = "detractor" }
team = "kitchen"
priority = "normal"
due_hours = 24
actions = ["apologise"]
[default]
team = "desk"
priority = "low"
due_hours = 72
actions = ["apologise"]
"""


@pytest.fixture
def router(tmp_path, taxonomy):
    (tmp_path / "routing.toml").write_text(RULES, "utf-8")
    return Router.load(tmp_path / "routing.toml", taxonomy=taxonomy)


def test_a_team_is_right_where_the_rules_send_gold_and_prediction_to_the_same(taxonomy, router):
    dirty, meal = (CLEAN, "negative", None), (MEAL, "positive", None)
    examples = [
        example(dirty),  # found
        example(dirty),  # missed: goes to the desk
        example(meal, score=3),  # found, by label and score
        example(meal, dirty, score=3),  # the dirt was missed: goes to the kitchen
        example(meal, score=9),  # no rule is for it: not judged
        example(sentiment=None),  # not annotated in full: not judged
    ]
    predictions = [said(dirty), said(), said(meal), said(meal), said(dirty), said(dirty)]
    metrics = judge(examples, predictions, taxonomy=taxonomy, router=router)
    assert metrics.route == Share(right=2, count=4)
    assert metrics.teams == {
        "house": Tally(hits=1, missed=2),
        "kitchen": Tally(hits=1, false=1),
        "desk": Tally(false=1),
    }
    figures = metrics.summary()
    assert figures["route_accuracy"] == 0.5
    assert figures["route_commonest"] == 0.75


def test_without_rules_no_route_is_judged(taxonomy):
    dirty = (CLEAN, "negative", None)
    assert (
        "route_accuracy" not in judge([example(dirty)], [said(dirty)], taxonomy=taxonomy).summary()
    )


@pytest.mark.parametrize(
    "left_open",
    [
        {"sentiment": None},
        {"signals": None},
        {"labels": {CLEAN: LabelNote(sentiment=None)}},
        {"absent": frozenset({NOISE})},
    ],
)
def test_what_is_not_annotated_in_full_has_no_gold_prediction(left_open, taxonomy):
    whole = example((CLEAN, "negative", None))
    assert gold_prediction(whole, taxonomy=taxonomy) is not None
    assert gold_prediction(replace(whole, **left_open), taxonomy=taxonomy) is None


def test_a_case_must_reach_the_team_of_its_signals_whatever_it_is_about(taxonomy, tmp_path):
    (tmp_path / "routing.toml").write_text(ROUTING, "utf-8")
    router = Router.load(tmp_path / "routing.toml", taxonomy=taxonomy)
    case = Example(id="x", text="x", language="en", signals=frozenset({"pest"}))
    quiet = replace(case, signals=frozenset())
    predictions = [said(signals=["pest"]), said((NOISE, "negative", None)), said(signals=["pest"])]
    metrics = judge_must_route([case, case, quiet], predictions, router=router)
    assert metrics.route == Share(right=1, count=2)
    assert metrics.teams == {"house": Tally(hits=1, missed=1), "desk": Tally(false=1)}
