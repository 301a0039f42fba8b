"""When a rule holds, and when it never can: with the files of a company that is no shop."""

from __future__ import annotations

from functools import partial

import pytest

from model.errors import RoutingError
from model.records import Route
from tests.model.library import commented, library_router, predicted, rule_text


@pytest.fixture
def load(tmp_path):
    return partial(library_router, tmp_path)


def test_another_company_routes_with_two_files_of_its_own(load):
    router = load(
        rule_text("lost", 'signal = "lost"', team="desk"),
        rule_text("loud", 'area = "house", sentiment = "negative"'),
    )
    loud = predicted("negative", ("house.noise", "negative"), signals=("lost",))
    assert router.route(loud, commented("Zu laut.")) == Route(
        team="desk",
        priority="normal",
        due_hours=5,
        actions=("sweep", "write"),
        rule="lost",
        also=("keeper",),
    )
    fine = predicted("neutral", ("books.state", "neutral"))
    assert router.route(fine, commented()).rule == "default"


def test_a_file_with_nothing_but_a_default_routes_everything_there(load):
    assert load().route(predicted("negative"), commented()).team == "desk"


def test_the_default_is_never_among_the_other_teams(load):
    route = load(rule_text("lost", 'signal = "lost"')).route(
        predicted("neutral", signals=("lost",)), commented()
    )
    assert (route.team, route.also) == ("keeper", ())


@pytest.mark.parametrize(
    ("when", "prediction", "comment", "holds"),
    [
        pytest.param(
            'label = "books.state", sentiment = "negative"',
            predicted("negative", ("books.state", "positive"), ("house.noise", "negative")),
            commented(),
            False,
            id="the sentiment beside a label is that label's, not another's nor the comment's",
        ),
        pytest.param(
            'area = "house", sentiment = ["negative", "neutral"]',
            predicted("positive", ("books.state", "positive"), ("house.noise", "neutral")),
            commented(),
            True,
            id="an area stands for its labels",
        ),
        pytest.param(
            'area = "house", label = ["books.state", "house.noise"]',
            predicted("positive", ("books.state", "positive")),
            commented(),
            False,
            id="label and area must hold for the same label",
        ),
        pytest.param(
            'sentiment = "negative"',
            predicted("negative", ("books.state", "positive")),
            commented(),
            True,
            id="a sentiment alone is the comment's",
        ),
        pytest.param(
            'label = "books.state", sentiment = "positive", comment_sentiment = "negative"',
            predicted("negative", ("books.state", "positive")),
            commented(),
            True,
            id="comment_sentiment joins a label with the whole",
        ),
        pytest.param(
            'label = "books.state", comment_sentiment = "negative"',
            predicted("positive", ("books.state", "negative")),
            commented(),
            False,
            id="comment_sentiment is not the label's",
        ),
        pytest.param(
            'label = "none", sentiment = "negative"',
            predicted("negative"),
            commented(),
            True,
            id="no label has the comment's sentiment",
        ),
        pytest.param(
            'label = "none"',
            predicted("negative", ("books.state", "negative")),
            commented(),
            False,
            id="a comment with a label is not without one",
        ),
        pytest.param(
            'segment = "none"', predicted("neutral"), commented(), True, id="no score, no segment"
        ),
        pytest.param(
            'segment = "none"',
            predicted("neutral"),
            commented(score=0),
            False,
            id="zero is a score",
        ),
        pytest.param(
            'segment = ["passive", "promoter"]',
            predicted("neutral"),
            commented(score=8),
            True,
            id="any of a list",
        ),
        pytest.param(
            'language = "DE"',
            predicted("neutral", language="de_at"),
            commented(),
            True,
            id="a language holds for its regions, in any case",
        ),
        pytest.param(
            'language = "de-AT"',
            predicted("neutral", language="de"),
            commented(),
            False,
            id="a region does not hold for the language",
        ),
        pytest.param(
            'touchpoint = "store"', predicted("neutral"), commented(), False, id="no touchpoint"
        ),
        pytest.param(
            'touchpoint = ["web", "store"]',
            predicted("neutral"),
            commented(touchpoint="store"),
            True,
            id="a touchpoint",
        ),
        pytest.param(
            "properties = { floor = 2, vip = true }",
            predicted("neutral"),
            commented(properties={"floor": "2", "vip": "true"}),
            True,
            id="properties are compared as text",
        ),
        pytest.param(
            'properties = { floor = [1, "2"] }',
            predicted("neutral"),
            commented(properties={"floor": 2.0}),
            True,
            id="a whole number is one however it is written",
        ),
        pytest.param(
            "properties = { floor = 2, vip = true }",
            predicted("neutral"),
            commented(properties={"floor": 2}),
            False,
            id="all properties must hold",
        ),
        pytest.param(
            'properties = { tags = "new" }',
            predicted("neutral"),
            commented(properties={"tags": ["old", "new", None, {"new": 1}]}),
            True,
            id="any item of a list in the comment",
        ),
        pytest.param(
            'properties = { floor = "none" }',
            predicted("neutral"),
            commented(properties={"floor": None}),
            False,
            id="an empty property has no value",
        ),
        pytest.param(
            'signal = "lost", segment = "passive"',
            predicted("neutral", signals=("lost",)),
            commented(score=2),
            False,
            id="all fields must hold",
        ),
    ],
)
def test_a_rule_holds_where_each_field_does(load, when, prediction, comment, holds):
    router = load(rule_text("only", when))
    assert (router.route(prediction, comment).rule == "only") is holds


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('label = "books.state"', 'label = "books.state"'),
        ('label = ["books.state", "none"]', 'label = "none", segment = "passive"'),
        ('area = "house"', 'label = "house.noise", sentiment = "negative"'),
        (
            'area = "house", sentiment = ["neutral", "negative"]',
            'area = "house", sentiment = "neutral"',
        ),
        ('label = ["books.state", "books.choice"]', 'area = "books"'),
        ('sentiment = "negative"', 'comment_sentiment = "negative", area = "books"'),
        ('signal = "lost"', 'signal = "lost", touchpoint = "web"'),
        ('language = "de"', 'language = ["de-AT", "DE"]'),
        ("properties = { floor = [1, 2] }", 'properties = { floor = "2", vip = true }'),
    ],
)
def test_a_rule_that_can_never_fire_is_refused_with_the_one_that_hides_it(load, earlier, later):
    other = (
        rule_text("between", 'signal = "lost", segment = "none"') if "lost" not in earlier else ""
    )
    with pytest.raises(RoutingError, match="rule 'hidden' can never fire: rule 'first' above it"):
        load(rule_text("first", earlier), other, rule_text("hidden", later, team="desk"))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('label = "house.noise", sentiment = "negative"', 'area = "house"'),
        ('label = "books.state"', 'area = "books"'),
        (
            'area = "books", sentiment = "negative"',
            'area = "books", comment_sentiment = "negative"',
        ),
        ('signal = "lost", segment = "passive"', 'signal = "lost"'),
        ('language = "de-AT"', 'language = "de"'),
        ('segment = "passive"', 'touchpoint = "web"'),
        ("properties = { floor = 1 }", "properties = { floor = [1, 2] }"),
        ("properties = { floor = 1 }", "properties = { room = 1 }"),
    ],
)
def test_a_rule_that_an_earlier_one_hides_only_in_part_stays(load, earlier, later):
    router = load(rule_text("first", earlier), rule_text("second", later))
    assert [rule.name for rule in router.rules] == ["first", "second"]
