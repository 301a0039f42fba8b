"""Which team has to act on a comment, how soon, and by which rule: pure, from a file of rules.

A rule holds where every field of its `when` holds; a field holds where any of its values does:

- `label`, `area`: the comment has such a label. With `sentiment`, that same label has it. A comment
  without labels has the label `none`, with the comment's own sentiment.
- `sentiment` without label or area, and `comment_sentiment` always: the comment's own sentiment.
- `signal`; `segment` (from the score, `none` without one); `touchpoint`, letter for letter.
- `language`: that of the prediction; `de` holds for `de-AT` as well.
- `properties`: each key named has one of its values, compared as text (5 is "5"); of a list in the
  comment, any item counts.

The first rule that holds gives the route. Teams of further rules that hold are listed in `also`,
in the order of the rules, then those that are only told (`[[tell]]`). Where no rule holds, the
default gives the route; it is never in `also`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from model.records import Comment, Prediction, Route
from model.routing_file import (
    NONE,
    Names,
    Rule,
    Tell,
    label_fact,
    language_facts,
    property_facts,
    read_routing,
)
from model.taxonomy import Taxonomy

SHIPPED = Path(str(files("model"))) / "routing.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """Ordered rules and a default; teams and actions by id, with their names by language."""

    teams: Names
    actions: Names
    rules: tuple[Rule, ...]
    default: Rule
    tells: tuple[Tell, ...] = ()

    @classmethod
    def load(cls, path: Path | None = None, *, taxonomy: Taxonomy) -> Router:
        """Read and check a routing file (the shipped one if no path is given).

        Raises `RoutingError` where the file does not hold together or does not fit the taxonomy.
        """
        read = read_routing(path or SHIPPED, taxonomy=taxonomy)
        return cls(
            teams=read.teams,
            actions=read.actions,
            rules=read.rules,
            default=read.default,
            tells=read.tells,
        )

    def route(self, prediction: Prediction, comment: Comment) -> Route:
        """Return the route; the comment adds its score, touchpoint and properties."""
        facts = _facts(prediction, comment)
        matching = [rule for rule in self.rules if rule.holds(facts)]
        first = matching[0] if matching else self.default
        told = [tell.team for tell in self.tells if tell.holds(facts)]
        teams = [*(rule.team for rule in matching), *told]
        others = dict.fromkeys(team for team in teams if team != first.team)
        return Route(
            team=first.team,
            priority=first.priority,
            due_hours=first.due_hours,
            actions=first.actions,
            rule=first.name,
            also=tuple(others),
        )


def _facts(prediction: Prediction, comment: Comment) -> Mapping[str, frozenset[str]]:
    labels = {label_fact(scored.label, scored.sentiment) for scored in prediction.labels}
    return {
        "label": frozenset(labels or {label_fact(NONE, prediction.sentiment)}),
        "sentiment": frozenset({prediction.sentiment}),
        "signal": frozenset(scored.signal for scored in prediction.signals),
        **known_facts(prediction.language, comment),
    }


def known_facts(language: str, comment: Comment) -> dict[str, frozenset[str]]:
    """Return what does not hang on the model's judgement: segment, language, properties."""
    facts = {
        "segment": frozenset({comment.segment or NONE}),
        "language": language_facts(language),
    }
    if comment.touchpoint is not None:
        facts["touchpoint"] = frozenset({comment.touchpoint})
    for key, value in comment.properties.items():
        facts[f"properties.{key}"] = property_facts(value)
    return facts
