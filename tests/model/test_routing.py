"""The rules that are shipped, against the taxonomy that is shipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.records import PRIORITIES, SENTIMENTS, Route
from model.routing import Router
from model.taxonomy import load_taxonomy
from tests.model.library import commented, predicted

SHOP = load_taxonomy()
ROUTER = Router.load(taxonomy=SHOP)

# Who has to act on a label alone, without a score: where it is negative, neutral, positive.
EXPECTED_TEAMS = {
    "delivery.speed": ("logistics", "logistics", "logistics"),
    "delivery.condition": ("logistics", "logistics", "logistics"),
    "delivery.carrier": ("logistics", "logistics", "logistics"),
    "delivery.tracking": ("logistics", "logistics", "logistics"),
    "returns.process": ("customer-service", "customer-service", "customer-service"),
    "returns.refund": ("finance", "finance", "customer-service"),
    "product.quality": ("product", "product", "product"),
    "product.fit": ("product", "product", "product"),
    "product.range": ("purchasing", "purchasing", "marketing"),
    "price.value": ("purchasing", "purchasing", "marketing"),
    "price.discounts": ("marketing", "marketing", "marketing"),
    "price.fees": ("finance", "finance", "marketing"),
    "price.payout": ("buy-back", "buy-back", "marketing"),
    "ordering.process": ("digital", "digital", "digital"),
    "ordering.payment": ("finance", "finance", "marketing"),
    "ordering.accuracy": ("logistics", "logistics", "logistics"),
    "digital.usability": ("digital", "digital", "digital"),
    "digital.reliability": ("digital", "digital", "digital"),
    "digital.account": ("digital", "digital", "digital"),
    "service.friendliness": ("customer-service", "customer-service", "customer-service"),
    "service.availability": ("customer-service", "customer-service", "customer-service"),
    "service.resolution": ("customer-service", "customer-service", "customer-service"),
    "service.advice": ("customer-service", "customer-service", "customer-service"),
    "brand.satisfaction": ("customer-service", "marketing", "marketing"),
    "brand.trust": ("customer-service", "customer-service", "marketing"),
    "brand.competitor": ("marketing", "marketing", "marketing"),
    "brand.communication": ("marketing", "marketing", "marketing"),
    "brand.sustainability": ("marketing", "marketing", "marketing"),
}


def test_the_example_of_the_design_goes_to_product_and_also_to_customer_service():
    text = "Lieferung super schnell, aber die Hose war kaputt und am Telefon ging niemand ran."
    prediction = predicted(
        "negative",
        ("delivery.speed", "positive"),
        ("product.quality", "negative"),
        ("service.availability", "negative"),
    )
    assert ROUTER.route(prediction, commented(text, score=4)) == Route(
        team="product",
        priority="high",
        due_hours=24,
        actions=("apologise",),
        rule="broken-product",
        also=("customer-service",),
    )


def test_the_table_of_expected_teams_names_every_label_and_no_other():
    assert list(EXPECTED_TEAMS) == list(SHOP.labels)


@pytest.mark.parametrize("label", SHOP.labels)
@pytest.mark.parametrize("sentiment", SENTIMENTS)
def test_every_label_reaches_the_team_that_can_act_on_it_and_no_other(label, sentiment):
    route = ROUTER.route(predicted(sentiment, (label, sentiment)), commented())
    expected = EXPECTED_TEAMS[label][SENTIMENTS.index(sentiment)]
    # Praise asks nobody to mend anything: marketing thanks, the team that earned it hears of it.
    praised = sentiment == "positive"
    assert route.team == ("marketing" if praised else expected)
    assert route.rule != "default"
    assert route.also == ((expected,) if praised and expected != "marketing" else ())
    assert (route.priority == "low") == (sentiment != "negative")


@pytest.mark.parametrize(
    ("signal", "team"),
    [
        ("safety", "product"),
        ("privacy", "data-protection"),
        ("legal", "legal"),
        ("churn", "customer-service"),
        ("contact", "customer-service"),
    ],
)
@pytest.mark.parametrize("label", SHOP.labels)
def test_a_signal_goes_before_whatever_the_comment_is_about(signal, team, label):
    prediction = predicted("negative", (label, "negative"), signals=(signal,))
    route = ROUTER.route(prediction, commented(score=0))
    assert route.team == team
    assert route.priority in {"high", "urgent"}
    assert route.also == tuple({EXPECTED_TEAMS[label][0]} - {team})


def test_every_signal_of_the_taxonomy_has_a_rule_of_its_own():
    for signal in SHOP.signals:
        route = ROUTER.route(predicted("neutral", signals=(signal,)), commented())
        assert route.rule != "default", signal


def test_safety_then_privacy_then_law_then_leaving_then_contact_then_the_topic():
    prediction = predicted(
        "negative",
        ("price.payout", "negative"),
        signals=("contact", "churn", "legal", "privacy", "safety"),
    )
    route = ROUTER.route(prediction, commented("Ich gehe zum Anwalt.", score=1))
    assert (route.rule, route.due_hours) == ("safety", 4)
    assert route.also == ("data-protection", "legal", "customer-service", "buy-back")


@pytest.mark.parametrize(
    ("score", "rule", "priority"),
    [
        (3, "leaving-detractor", "urgent"),
        (7, "leaving", "high"),
        (None, "leaving", "high"),
    ],
)
def test_a_detractor_who_leaves_is_more_urgent_than_another_who_does(score, rule, priority):
    prediction = predicted("negative", signals=("churn",))
    route = ROUTER.route(prediction, commented("I am leaving.", score=score))
    assert (route.team, route.rule, route.priority) == ("customer-service", rule, priority)


@pytest.mark.parametrize(
    ("score", "priority"), [(0, "high"), (None, "high"), (8, "normal"), (9, "normal")]
)
def test_a_poor_product_is_less_urgent_for_those_who_like_the_shop_all_the_same(score, priority):
    prediction = predicted("negative", ("product.quality", "negative"))
    assert ROUTER.route(prediction, commented(score=score)).priority == priority


def test_praise_for_one_team_in_a_comment_that_is_not_positive_does_not_concern_that_team():
    prediction = predicted(
        "neutral", ("delivery.speed", "positive"), ("digital.account", "negative")
    )
    route = ROUTER.route(prediction, commented("Fast, but I cannot log in.", score=7))
    assert (route.team, route.also) == ("digital", ())


def test_a_promoter_is_asked_for_a_public_review_and_the_praised_team_hears_of_it():
    prediction = predicted("positive", ("service.advice", "positive"))
    route = ROUTER.route(prediction, commented("Tolle Beratung!", score=10))
    assert (route.team, route.rule, route.also) == ("marketing", "promoter", ("customer-service",))
    assert "ask-for-public-review" in route.actions


def test_praise_goes_to_one_team_and_those_that_earned_it_hear_of_it():
    prediction = predicted(
        "positive", ("service.advice", "positive"), ("delivery.speed", "positive")
    )
    route = ROUTER.route(prediction, commented("Schnell geliefert, gut beraten."))
    assert (route.team, route.rule) == ("marketing", "praise")
    assert route.also == ("logistics", "customer-service")


def test_a_promoter_with_a_complaint_is_not_asked_for_a_public_review():
    prediction = predicted("positive", ("service.advice", "positive"), ("price.fees", "negative"))
    route = ROUTER.route(prediction, commented(score=9))
    assert route.team == "finance"
    assert "ask-for-public-review" not in route.actions


def test_a_suggestion_goes_to_the_team_of_its_label_and_without_one_to_customer_service():
    wish = predicted("neutral", ("digital.usability", "neutral"), signals=("suggestion",))
    assert ROUTER.route(wish, commented("Bitte mit Dunkelmodus.")).team == "digital"
    vague = predicted("neutral", signals=("suggestion",))
    assert ROUTER.route(vague, commented("Macht mehr daraus!")).rule == "suggestion"


@pytest.mark.parametrize(
    ("score", "team", "rule"),
    [
        (0, "customer-service", "silent-detractor"),
        (6, "customer-service", "silent-detractor"),
        (7, "customer-service", "default"),
        (9, "marketing", "silent-promoter"),
        (None, "customer-service", "default"),
    ],
)
def test_a_comment_without_words_is_routed_by_its_score(score, team, rule):
    route = ROUTER.route(predicted("neutral", language="und"), commented("", score=score))
    assert (route.team, route.rule, route.priority, route.also) == (team, rule, "low", ())


def test_anger_without_a_label_reaches_customer_service():
    route = ROUTER.route(predicted("negative"), commented("Unverschämt!", score=9))
    assert (route.team, route.rule) == ("customer-service", "unhappy-without-reason")


def test_teams_and_actions_have_names_in_both_languages():
    for names in (*ROUTER.teams.values(), *ROUTER.actions.values()):
        assert set(names) == {"en", "de"}


@given(
    labels=st.dictionaries(st.sampled_from(list(SHOP.labels)), st.sampled_from(SENTIMENTS)),
    signals=st.sets(st.sampled_from(list(SHOP.signals))),
    sentiment=st.sampled_from(SENTIMENTS),
    score=st.none() | st.integers(0, 10),
    language=st.sampled_from(["de", "en", "other", "und", "de-AT", ""]),
    properties=st.dictionaries(
        st.text(),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.lists(st.integers() | st.none()),
    ),
)
def test_any_prediction_of_the_taxonomy_has_a_route_that_the_file_knows(
    labels, signals, sentiment, score, language, properties
):
    prediction = predicted(
        sentiment, *labels.items(), signals=tuple(sorted(signals)), language=language
    )
    comment = commented(score=score, properties=properties)
    route = ROUTER.route(prediction, comment)
    assert route.team in ROUTER.teams
    assert route.actions
    assert set(route.actions) <= set(ROUTER.actions)
    assert route.priority in PRIORITIES
    assert route.rule in {rule.name for rule in (*ROUTER.rules, ROUTER.default)}
    assert route.team not in route.also
    assert len(set(route.also)) == len(route.also)
    assert set(route.also) <= set(ROUTER.teams)
    assert ROUTER.route(prediction, comment) == route
