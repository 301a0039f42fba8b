from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.certainty import Certainty
from model.records import SENTIMENTS, Beliefs, Comment, LabelScore, Prediction, SignalScore
from model.routing import Router
from model.taxonomy import load_taxonomy

SHOP = load_taxonomy()
ROUTER = Router.load(taxonomy=SHOP)
CERTAINTY = Certainty(ROUTER, taxonomy=SHOP)
LABELS, SIGNALS = list(SHOP.labels), list(SHOP.signals)


def beliefs(labels=(), signals=(), feeling=(0.0, 1.0, 0.0)) -> Beliefs:
    """Return beliefs of (label, sentiment, probability) and (signal, probability)."""
    found = Beliefs(
        labels=np.zeros((len(LABELS), 3), np.float32),
        signals=np.zeros(len(SIGNALS), np.float32),
        feeling=np.array(feeling, np.float32),
    )
    for label, sentiment, chance in labels:
        found.labels[LABELS.index(label), SENTIMENTS.index(sentiment)] = chance
    for signal, chance in signals:
        found.signals[SIGNALS.index(signal)] = chance
    return found


def decided(belief: Beliefs) -> Prediction:
    """Return what is said where everything from .5 up counts."""
    return Prediction(
        language="de",
        sentiment=SENTIMENTS[int(belief.feeling.argmax())],
        confidence=1.0,
        labels=tuple(
            LabelScore(
                label=label,
                area=SHOP.labels[label].area,
                sentiment=SENTIMENTS[int(row.argmax())],
                confidence=float(row.sum()),
                sentiment_confidence=1.0,
            )
            for label, row in zip(LABELS, belief.labels, strict=True)
            if row.sum() >= 0.5
        ),
        signals=tuple(
            SignalScore(signal=signal, confidence=float(chance))
            for signal, chance in zip(SIGNALS, belief.signals, strict=True)
            if chance >= 0.5
        ),
        beliefs=belief,
    )


def certainty(belief: Beliefs, *, score: int | None = None) -> float:
    comment, said = Comment(id="a", text="x", score=score), decided(belief)
    (found,) = CERTAINTY.of([said], [comment], [ROUTER.route(said, comment)])
    return found


def test_beliefs_without_doubt_make_a_route_certain():
    assert certainty(beliefs([("delivery.speed", "negative", 1.0)])) == pytest.approx(1.0)
    assert certainty(beliefs(signals=[("legal", 1.0)])) == pytest.approx(1.0)


def test_the_doubt_about_a_label_is_the_doubt_about_its_route():
    assert certainty(beliefs([("delivery.speed", "negative", 0.8)])) == pytest.approx(0.8, abs=1e-4)


def test_a_rule_that_may_come_before_takes_certainty_away():
    alone = certainty(beliefs([("delivery.speed", "negative", 0.9)]))
    threatened = certainty(beliefs([("delivery.speed", "negative", 0.9)], [("legal", 0.3)]))
    assert threatened == pytest.approx(alone * 0.7, abs=1e-4)


def test_two_ways_to_the_same_team_and_priority_add_up():
    one = certainty(beliefs([("ordering.accuracy", "negative", 0.6)]))
    both = certainty(
        beliefs([("ordering.accuracy", "negative", 0.6), ("delivery.condition", "negative", 0.5)])
    )
    assert one == pytest.approx(0.6, abs=1e-4)
    assert both == pytest.approx(1 - 0.4 * 0.5, abs=1e-4)


def test_the_score_is_known_for_sure_and_counts_as_such():
    belief = beliefs([("product.quality", "negative", 0.8)])
    assert certainty(belief, score=2) == pytest.approx(0.8, abs=1e-4)
    comment = Comment(id="a", text="x", score=10)
    said = decided(belief)
    broken = replace(ROUTER.route(said, Comment(id="a", text="x", score=2)))
    assert CERTAINTY.of([said], [comment], [broken])[0] < 0.8  # that rule is for others


def test_a_prediction_without_words_is_certain():
    said = Prediction(language="und", sentiment="neutral", confidence=1.0)
    comment = Comment(id="a", text="")
    assert CERTAINTY.of([said], [comment], [ROUTER.route(said, comment)]) == [1.0]


chances = st.floats(0, 1, width=32)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(SENTIMENTS), chances), max_size=4),
    st.lists(st.tuples(st.sampled_from(SIGNALS), chances), max_size=3),
    st.sampled_from([(1.0, 0.0, 0.0), (0.2, 0.5, 0.3), (0.0, 0.1, 0.9)]),
    st.sampled_from([None, 0, 7, 10]),
)
def test_the_chances_of_all_decisions_add_up_to_one(labels, signals, feeling, score):
    belief = beliefs([], signals, feeling)
    for label, sentiment, chance in labels:  # a label is there once, with one sentiment
        belief.labels[LABELS.index(label)] = 0
        belief.labels[LABELS.index(label), SENTIMENTS.index(sentiment)] = chance
    comment, said = Comment(id="a", text="x", score=score), decided(belief)
    rules = {(rule.team, rule.priority): rule for rule in (*ROUTER.rules, ROUTER.default)}
    route = ROUTER.route(said, comment)
    routes = [replace(route, team=team, priority=priority) for team, priority in rules]
    total = CERTAINTY.of([said] * len(routes), [comment] * len(routes), routes)
    assert sum(total) == pytest.approx(1.0, abs=1e-3)
    assert all(0 <= chance <= 1 + 1e-6 for chance in total)


def test_a_route_is_as_sure_alone_as_among_others():
    found = [
        beliefs([("delivery.speed", "negative", 0.7)], [("churn", 0.2)]),
        beliefs([("brand.trust", "negative", 0.6)], feeling=(0.9, 0.1, 0.0)),
    ]
    comments = [Comment(id=str(n), text="x", score=3) for n in range(2)]
    said = [decided(belief) for belief in found]
    routes = [ROUTER.route(p, c) for p, c in zip(said, comments, strict=True)]
    together = CERTAINTY.of(said, comments, routes)
    assert together == pytest.approx([certainty(belief, score=3) for belief in found], abs=1e-6)
