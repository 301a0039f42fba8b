"""Mistakes in a routing file: each is one line with the file, the rule and the key."""

from __future__ import annotations

from functools import partial

import pytest

from model.errors import RoutingError
from model.routing import Router
from tests.model.library import DEFAULT, HEAD, library_router, library_taxonomy, rule_text


@pytest.fixture
def load(tmp_path):
    return partial(library_router, tmp_path)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (
            'label = "books.stat"',
            "when.label: unknown label 'books.stat'; did you mean 'books.state'?",
        ),
        ('label = "house.smell"', "when.label: unknown label 'house.smell'"),
        ('area = "hous"', "when.area: unknown area 'hous'; did you mean 'house'?"),
        ('sentiment = "bad"', "when.sentiment: unknown sentiment 'bad'; known are: negative"),
        (
            'label = "none", comment_sentiment = "positiv"',
            "when.comment_sentiment: unknown sentiment 'positiv'; did you mean 'positive'?",
        ),
        ('signal = ["lost", "los"]', "when.signal: unknown signal 'los'; did you mean 'lost'?"),
        (
            'segment = "promotor"',
            "when.segment: unknown segment 'promotor'; did you mean 'promoter'?",
        ),
        ('language = "german"', "when.language: 'german' is no language; write a tag such as 'de'"),
        ('labels = "books.state"', "when: unknown key 'labels'; did you mean 'label'?"),
        ("label = []", "when.label must be a text or a list of texts, none of them empty, not []"),
        ("label = [[]]", "when.label must be a text or a list of texts"),
        ("segment = 3", "when.segment must be a text or a list of texts"),
        ('touchpoint = " "', "when.touchpoint must be a text or a list of texts"),
        ('signal = ["lost", "lost"]', "when.signal lists something twice"),
        ("", "when is empty or holds for every comment; what always matches is [default]"),
        (
            'sentiment = ["negative", "neutral", "positive"]',
            "when is empty or holds for every comment",
        ),
        (
            'area = "house", label = "books.state"',
            "when.area can never hold: no label in use is in it and in when.label",
        ),
        (
            'sentiment = "negative", comment_sentiment = "negative"',
            "when.sentiment without label or area is the comment's already",
        ),
        ("properties = {}", "when.properties must be a table such as"),
        ('properties = "floor"', "when.properties must be a table such as"),
        ("properties = { floor = [] }", "when.properties.floor must be a text, a number"),
        ("properties = { floor = 2026-01-01 }", "when.properties.floor must be a text, a number"),
    ],
)
def test_a_mistake_in_a_condition_names_file_rule_and_key_in_one_line(load, when, message):
    with pytest.raises(RoutingError) as caught:
        load(rule_text("fine", 'touchpoint = "web"'), rule_text("wrong", when))
    text = str(caught.value)
    assert f"routing.toml: rule 'wrong': {message}" in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('team = "keeper"', 'team = "keper"', "team: unknown team 'keper'; did you mean 'keeper'?"),
        ('team = "keeper"', 'team = ["keeper"]', "team must be one team's id"),
        ('team = "keeper"', "", "the key 'team' is missing"),
        ('"sweep"', '"sweeep"', "actions: unknown action 'sweeep'; did you mean 'sweep'?"),
        ('["sweep", "write"]', "[]", "actions must be a text or a list of texts"),
        ('"sweep", "write"', '"write", "write"', "actions lists something twice"),
        ('"normal"', '"medium"', "priority must be one of low, normal, high, urgent, not 'medium'"),
        ('"normal"', "2", "priority must be one of low, normal, high, urgent, not 2"),
        (
            "due_hours = 5",
            "due_hours = 0",
            "due_hours must be a whole number of hours from 1, not 0",
        ),
        ("due_hours = 5", "due_hours = -5", "due_hours must be a whole number"),
        ("due_hours = 5", "due_hours = 5.0", "due_hours must be a whole number"),
        ("due_hours = 5", "due_hours = true", "due_hours must be a whole number"),
        ("due_hours = 5", 'due_hours = "5"', "due_hours must be a whole number"),
        ("due_hours = 5", "", "the key 'due_hours' is missing"),
        ("due_hours", "due_hour", "unknown key 'due_hour'; did you mean 'due_hours'?"),
        ("when = { ", "#", "the key 'when' is missing"),
        ('when = { touchpoint = "web" }', 'when = "web"', "when must be a table of conditions"),
    ],
)
def test_a_mistake_in_a_rule_names_file_rule_and_key(load, right, wrong, message):
    text = rule_text("wrong", 'touchpoint = "web"')
    assert right in text
    with pytest.raises(RoutingError) as caught:
        load(text.replace(right, wrong, 1))
    assert f"routing.toml: rule 'wrong': {message}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ('name = "first"', "rule 2: the name 'first' is taken by an earlier rule"),
        ('name = "default"', "rule 2: the name 'default' is kept for the table [default]"),
        ('name = "Not So"', "rule 2: name is 'Not So'; it needs a-z"),
        ("name = 7", "rule 2: name is 7; it needs a-z"),
        ("", "rule 2: name is missing; it needs a-z"),
    ],
)
def test_a_rule_without_a_good_name_is_named_by_its_number(load, name, message):
    second = rule_text("second", 'signal = "lost"').replace('name = "second"', name)
    with pytest.raises(RoutingError) as caught:
        load(rule_text("first", 'touchpoint = "web"'), second)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("head", "default", "message"),
    [
        (HEAD, "", "the table [default] is missing; it needs team, priority, due_hours, actions"),
        (
            HEAD,
            DEFAULT.replace('"desk"', '"desc"'),
            "[default]: team: unknown team 'desc'; did you",
        ),
        (HEAD, DEFAULT.replace("priority", "prio"), "[default]: unknown key 'prio'; did you mean"),
        (HEAD, DEFAULT + 'when = { signal = "lost" }', "[default]: unknown key 'when'"),
        (HEAD, DEFAULT + "[[rule]]", "unknown key 'rule'; did you mean 'rules'?"),
        (HEAD, DEFAULT + "[tell]", "tell are tables, each under a line [[tell]]"),
        (HEAD, DEFAULT + '[[tell]]\nteam = "desk"', "tell 1: the key 'when' is missing"),
        (
            HEAD,
            DEFAULT + '[[tell]]\nwhen = { signal = "lost" }\nteam = "desc"',
            "tell 1: team: unknown team 'desc'; did you mean 'desk'?",
        ),
        (
            HEAD,
            DEFAULT + '[[tell]]\nwhen = { signal = "lost" }\nteam = "desk"\nname = "x"',
            "tell 1: unknown key 'name'",
        ),
        (HEAD, DEFAULT + "[rules]", "rules are tables, each under a line [[rules]]"),
        ("rules = [1]\n" + HEAD, DEFAULT, "rules are tables, each under a line [[rules]]"),
        ("version = 2\n" + HEAD, DEFAULT, "version must be 1, not 2"),
        ("", DEFAULT, "the table [teams] is missing or empty"),
        (HEAD.partition("[actions]")[0], DEFAULT, "the table [actions] is missing or empty"),
        (HEAD.replace("keeper", "Keeper!", 1), DEFAULT, "is not valid TOML"),
        (HEAD.replace("keeper", '"Keeper!"', 1), DEFAULT, "[teams] Keeper!: an id holds a-z"),
        (
            HEAD.replace('"Desk"', '" "'),
            DEFAULT,
            "[teams] desk: a text for 'en' is missing or empty",
        ),
        (
            HEAD.replace(', de = "Fegen"', ""),
            DEFAULT,
            "[actions] sweep: a text for 'de' is missing",
        ),
        (HEAD.replace("de = ", "fr = ", 1), DEFAULT, "[teams] desk: unknown key 'fr'"),
        (HEAD + 'mop = "Mop"', DEFAULT, "[actions] mop must be a table with en, de, not 'Mop'"),
    ],
)
def test_a_mistake_around_the_rules_names_file_and_table(load, head, default, message):
    with pytest.raises(RoutingError) as caught:
        load(head=head, default=default)
    assert "routing.toml: " in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_missing_or_no_utf8_is_one_line(tmp_path):
    with pytest.raises(RoutingError, match="cannot be read"):
        Router.load(tmp_path / "nowhere.toml", taxonomy=library_taxonomy(tmp_path))
    latin = tmp_path / "latin.toml"
    latin.write_bytes("# für uns".encode("latin-1"))
    with pytest.raises(RoutingError, match="is not UTF-8"):
        Router.load(latin, taxonomy=library_taxonomy(tmp_path))


def test_rules_for_another_taxonomy_are_refused(tmp_path):
    with pytest.raises(RoutingError, match=r"rule 'safety': when.signal: unknown signal 'safety'"):
        Router.load(taxonomy=library_taxonomy(tmp_path))
