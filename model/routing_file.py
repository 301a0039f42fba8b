"""Read and check a routing file: teams, actions, ordered rules, a default.

The head of the shipped `routing.toml` explains the form to those who write one. A rule's `when` is
compiled to fields, each with the facts of which one must hold; `routing.py` brings a comment into
the same words. Reading is strict: what is wrong is named with the file, the rule and the key, and
what would be right.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.errors import RoutingError, suggest
from model.records import PRIORITIES, SEGMENTS, SENTIMENTS, Priority
from model.taxonomy import LANGUAGES, Taxonomy, read_toml

# What a comment without labels has as its label, and one without a score as its segment. No label
# id can clash with it: those hold a dot.
NONE = "none"
DEFAULT = "default"
_ID = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_LANGUAGE_TAG = re.compile(r"other|[a-z]{2,3}(?:-[a-z0-9]{1,8})*", re.IGNORECASE)
_FILE_KEYS = ("version", "teams", "actions", "rules", "tell", "default")
_ROUTE_KEYS = ("team", "priority", "due_hours", "actions")
_RULE_KEYS = ("name", "when", *_ROUTE_KEYS)
_TELL_KEYS = ("when", "team")
_WHEN_KEYS = (
    "label",
    "area",
    "sentiment",
    "comment_sentiment",
    "signal",
    "segment",
    "language",
    "touchpoint",
    "properties",
)
Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule; `when` maps a field to the facts of which one must hold (the default's is empty)."""

    name: str
    when: Mapping[str, frozenset[str]]
    team: str
    priority: Priority
    due_hours: int
    actions: tuple[str, ...]

    def holds(self, facts: Mapping[str, frozenset[str]]) -> bool:
        """Return whether every field of the rule meets the facts of a comment."""
        return _meets(self.when, facts)

    def covers(self, later: Rule) -> bool:
        """Return whether this rule matches all that `later` would, field by field."""
        return all(
            field in later.when
            and all(not facts.isdisjoint(_implied(field, fact)) for fact in later.when[field])
            for field, facts in self.when.items()
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """A team that hears of comments for which `when` holds, whoever has to act on them."""

    when: Mapping[str, frozenset[str]]
    team: str

    def holds(self, facts: Mapping[str, frozenset[str]]) -> bool:
        """Return whether every field meets the facts of a comment."""
        return _meets(self.when, facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingFile:
    """What a routing file holds; teams and actions by id, with their names by language."""

    teams: Names
    actions: Names
    rules: tuple[Rule, ...]
    tells: tuple[Tell, ...]
    default: Rule


def _meets(when: Mapping[str, frozenset[str]], facts: Mapping[str, frozenset[str]]) -> bool:
    return all(
        not wanted.isdisjoint(facts.get(field, frozenset())) for field, wanted in when.items()
    )


def label_fact(label: str, sentiment: str) -> str:
    """Return the word for a label with its own sentiment."""
    return f"{label} {sentiment}"


def language_facts(tag: str) -> frozenset[str]:
    """Return a language tag and what it is a kind of: `de-AT` is also `de`."""
    parts = tag.lower().replace("_", "-").split("-")
    return frozenset("-".join(parts[:end]) for end in range(1, len(parts) + 1))


def property_facts(value: Any) -> frozenset[str]:
    """Return a property as text, so that 5, 5.0 and "5" are the same; a list gives one per item."""
    items = value if isinstance(value, list | tuple) else [value]
    return frozenset(_text(item) for item in items if isinstance(item, str | int | float))


def _text(value: str | float) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _implied(field: str, fact: str) -> frozenset[str]:
    return language_facts(fact) if field == "language" else frozenset({fact})


def read_routing(path: Path, *, taxonomy: Taxonomy) -> RoutingFile:
    """Read and check a routing file against the taxonomy that it routes.

    Raises `RoutingError` for unknown or missing keys, names that neither the file nor the taxonomy
    knows (retired labels among them), values of the wrong form, and rules that can never fire.
    """
    raw = read_toml(path, error=RoutingError)
    _check_keys(raw, _FILE_KEYS, where=str(path))
    if raw.get("version", 1) != 1:
        raise RoutingError(f"{path}: version must be 1, not {raw['version']!r}")
    teams, actions = _names(raw, "teams", path=path), _names(raw, "actions", path=path)
    rules: list[Rule] = []
    for number, row in enumerate(_rows(raw, "rules", path=path), start=1):
        name = _rule_name(row, taken={rule.name for rule in rules}, where=f"{path}: rule {number}")
        where = f"{path}: rule {name!r}"
        _check_keys(row, _RULE_KEYS, where=where)
        when = _conditions(_given(row, "when", where=where), taxonomy=taxonomy, where=where)
        rule = _rule(row, name=name, when=when, teams=teams, actions=actions, where=where)
        _check_reachable(rule, rules, where=where)
        rules.append(rule)
    tells = tuple(
        _tell(row, taxonomy=taxonomy, teams=teams, where=f"{path}: tell {number}")
        for number, row in enumerate(_rows(raw, "tell", path=path), start=1)
    )
    default = raw.get("default")
    if not isinstance(default, dict):
        raise RoutingError(f"{path}: the table [default] is missing; it needs {_join(_ROUTE_KEYS)}")
    where = f"{path}: [default]"
    _check_keys(default, _ROUTE_KEYS, where=where)
    last = _rule(default, name=DEFAULT, when={}, teams=teams, actions=actions, where=where)
    return RoutingFile(teams=teams, actions=actions, rules=tuple(rules), tells=tells, default=last)


def _names(raw: Mapping[str, Any], key: str, *, path: Path) -> dict[str, dict[str, str]]:
    table = raw.get(key)
    if not isinstance(table, dict) or not table:
        raise RoutingError(f"{path}: the table [{key}] is missing or empty")
    for name, row in table.items():
        where = f"{path}: [{key}] {name}"
        if not _ID.fullmatch(name):
            raise RoutingError(f"{where}: an id holds a-z, 0-9, '-' and '_' only")
        if not isinstance(row, dict):
            raise RoutingError(f"{where} must be a table with {_join(LANGUAGES)}, not {row!r}")
        _check_keys(row, LANGUAGES, where=where)
        for language in LANGUAGES:
            text = row.get(language)
            if not isinstance(text, str) or not text.strip():
                raise RoutingError(f"{where}: a text for {language!r} is missing or empty")
    return table


def _rows(raw: Mapping[str, Any], key: str, *, path: Path) -> list[dict[str, Any]]:
    rows = raw.get(key, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise RoutingError(f"{path}: {key} are tables, each under a line [[{key}]]")
    return rows


def _tell(row: Mapping[str, Any], *, taxonomy: Taxonomy, teams: Names, where: str) -> Tell:
    _check_keys(row, _TELL_KEYS, where=where)
    when = _conditions(_given(row, "when", where=where), taxonomy=taxonomy, where=where)
    return Tell(when=when, team=_team(row, teams=teams, where=where))


def _team(row: Mapping[str, Any], *, teams: Names, where: str) -> str:
    team = _given(row, "team", where=where)
    if not isinstance(team, str):
        raise RoutingError(f"{where}: team must be one team's id, not {team!r}")
    _check_known([team], teams, kind="team", where=f"{where}: team")
    return team


def _rule_name(row: Mapping[str, Any], *, taken: Collection[str], where: str) -> str:
    name = row.get("name")
    if not isinstance(name, str) or not _ID.fullmatch(name):
        said = "is missing" if name is None else f"is {name!r}"
        raise RoutingError(f"{where}: name {said}; it needs a-z, 0-9, '-' and '_'")
    if name == DEFAULT:
        raise RoutingError(f"{where}: the name {name!r} is kept for the table [default]")
    if name in taken:
        raise RoutingError(
            f"{where}: the name {name!r} is taken by an earlier rule; choose another"
        )
    return name


def _rule(
    row: Mapping[str, Any],
    *,
    name: str,
    when: Mapping[str, frozenset[str]],
    teams: Names,
    actions: Names,
    where: str,
) -> Rule:
    hours = _given(row, "due_hours", where=where)
    if type(hours) is not int or hours < 1:  # TOML's true is an int to Python, and no hours
        raise RoutingError(
            f"{where}: due_hours must be a whole number of hours from 1, not {hours!r}"
        )
    team = _team(row, teams=teams, where=where)
    steps = _words(_given(row, "actions", where=where), where=f"{where}: actions")
    _check_known(steps, actions, kind="action", where=f"{where}: actions")
    priority = _priority(_given(row, "priority", where=where), where=where)
    return Rule(
        name=name, when=when, team=team, priority=priority, due_hours=hours, actions=tuple(steps)
    )


def _priority(value: Any, *, where: str) -> Priority:
    for priority in PRIORITIES:
        if value == priority:
            return priority
    raise RoutingError(f"{where}: priority must be one of {_join(PRIORITIES)}, not {value!r}")


def _conditions(when: Any, *, taxonomy: Taxonomy, where: str) -> dict[str, frozenset[str]]:
    if not isinstance(when, dict):
        raise RoutingError(f"{where}: when must be a table of conditions, not {when!r}")
    _check_keys(when, _WHEN_KEYS, where=f"{where}: when")
    words = {
        key: _words(value, where=f"{where}: when.{key}")
        for key, value in when.items()
        if key != "properties"
    }
    known = {
        "label": ("label", (*taxonomy.labels, NONE)),
        "area": ("area", tuple(taxonomy.areas)),
        "sentiment": ("sentiment", SENTIMENTS),
        "comment_sentiment": ("sentiment", SENTIMENTS),
        "signal": ("signal", tuple(taxonomy.signals)),
        "segment": ("segment", (*SEGMENTS, NONE)),
    }
    for key, (kind, names) in known.items():
        _check_known(words.get(key, []), names, kind=kind, where=f"{where}: when.{key}")
    fields = _said_of_labels(words, taxonomy=taxonomy, where=where)
    fields |= {
        key: frozenset(words[key]) for key in ("signal", "segment", "touchpoint") if key in words
    }
    if "language" in words:
        fields["language"] = _language_tags(words["language"], where=f"{where}: when.language")
    if "properties" in when:
        fields |= _properties(when["properties"], where=f"{where}: when.properties")
    if not fields:
        raise RoutingError(
            f"{where}: when is empty or holds for every comment; what always matches is [default]"
        )
    return fields


def _said_of_labels(
    words: Mapping[str, Sequence[str]], *, taxonomy: Taxonomy, where: str
) -> dict[str, frozenset[str]]:
    sentiments, of_comment = words.get("sentiment"), words.get("comment_sentiment")
    fields: dict[str, frozenset[str]] = {}
    if "label" in words or "area" in words:
        labels = {*taxonomy.labels, NONE}.intersection(words.get("label", (*taxonomy.labels, NONE)))
        if "area" in words:
            labels &= {label for area in words["area"] for label in taxonomy.topics(area)}
        if not labels:
            raise RoutingError(
                f"{where}: when.area can never hold: no label in use is in it"
                + (" and in when.label" if "label" in words else "")
            )
        fields["label"] = frozenset(
            label_fact(label, sentiment)
            for label in labels
            for sentiment in sentiments or SENTIMENTS
        )
    elif sentiments and of_comment:
        raise RoutingError(
            f"{where}: when.sentiment without label or area is the comment's already; "
            "leave out comment_sentiment"
        )
    else:
        of_comment = of_comment or sentiments
    # All sentiments at once are no condition: a comment always has one of them.
    if of_comment and set(of_comment) != set(SENTIMENTS):
        fields["sentiment"] = frozenset(of_comment)
    return fields


def _language_tags(tags: Sequence[str], *, where: str) -> frozenset[str]:
    for tag in tags:
        if not _LANGUAGE_TAG.fullmatch(tag):
            raise RoutingError(
                f"{where}: {tag!r} is no language; write a tag such as 'de' or 'de-AT', "
                "'other' or 'und'"
            )
    return frozenset(tag.lower() for tag in tags)


def _properties(table: Any, *, where: str) -> dict[str, frozenset[str]]:
    if not isinstance(table, dict) or not table:
        raise RoutingError(
            f"{where} must be a table such as {{ shop = ['de', 'at'] }}, not {table!r}"
        )
    fields: dict[str, frozenset[str]] = {}
    for key, value in table.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(item, str | int | float) for item in values):
            raise RoutingError(
                f"{where}.{key} must be a text, a number, true or false, or a list of those "
                f"that is not empty, not {value!r}"
            )
        fields[f"properties.{key}"] = property_facts(values)
    return fields


def _check_reachable(rule: Rule, earlier: Sequence[Rule], *, where: str) -> None:
    for other in earlier:
        if other.covers(rule):
            raise RoutingError(
                f"{where} can never fire: rule {other.name!r} above it matches all that its when "
                f"would; move it above {other.name!r}, or narrow that one"
            )


def _words(value: Any, *, where: str) -> list[str]:
    words = value if isinstance(value, list) else [value]
    if not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise RoutingError(
            f"{where} must be a text or a list of texts, none of them empty, not {value!r}"
        )
    if len(set(words)) < len(words):
        raise RoutingError(f"{where} lists something twice: {value!r}; once is enough")
    return words


def _given(row: Mapping[str, Any], key: str, *, where: str) -> Any:
    if key not in row:
        raise RoutingError(f"{where}: the key {key!r} is missing")
    return row[key]


def _check_known(words: Sequence[str], known: Collection[str], *, kind: str, where: str) -> None:
    for word in words:
        if word not in known:
            raise RoutingError(f"{where}: unknown {kind} {word!r}; {suggest(word, known)}")


def _check_keys(row: Mapping[str, Any], known: Collection[str], *, where: str) -> None:
    for key in row:
        if key not in known:
            raise RoutingError(f"{where}: unknown key {key!r}; {suggest(key, known)}")


def _join(names: Sequence[str]) -> str:
    return ", ".join(names)
