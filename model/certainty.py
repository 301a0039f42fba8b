"""How sure a route is: the probability that a comment goes where it was sent.

A rule holds by chance: by the calibrated probabilities of labels with their sentiments, of signals
and of the comment's sentiment, taken to be independent. The decision is team and priority; its
certainty is that of the rules which lead to it, each before all others. What is assumed is not
quite so, which is why nothing is promised of a certainty before it was tested (certificate.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.records import SENTIMENTS, Comment, Prediction, Route
from model.routing import Router, known_facts
from model.routing_file import NONE, Rule, label_fact
from model.taxonomy import Taxonomy

Array = npt.NDArray[np.float32]
_CHANCE = ("label", "sentiment", "signal")  # fields of a rule that hold by chance


@dataclass(frozen=True, slots=True)
class _Masks:
    """What the rules ask for, stacked: [rules, …]; `has_…` [rules] tells which of them ask."""

    labels: Array  # [R, L, 3]
    none: Array  # [R, 3]: no label at all, with the comment's sentiment
    has_label: npt.NDArray[np.bool_]
    sentiment: Array  # [R, 3]; ones where nothing is asked
    signals: Array  # [R, S]
    has_signal: npt.NDArray[np.bool_]


class Certainty:
    """Judges the routes of one router; R rules, L labels, S signals."""

    def __init__(self, router: Router, *, taxonomy: Taxonomy) -> None:
        self._router = router
        self._masks = _masks(router.rules, taxonomy)
        self._decisions = [(rule.team, rule.priority) for rule in (*router.rules, router.default)]

    def of(
        self,
        predictions: Sequence[Prediction],
        comments: Sequence[Comment],
        routes: Sequence[Route],
    ) -> list[float]:
        """Return the certainty of each route; 1 for a prediction without beliefs (no words)."""
        chosen = [place for place, said in enumerate(predictions) if said.beliefs is not None]
        certainties = [1.0] * len(predictions)
        if not chosen:
            return certainties
        mass = self._mass([predictions[i] for i in chosen], [comments[i] for i in chosen])
        for row, place in zip(mass, chosen, strict=True):
            route = routes[place]
            same = [decision == (route.team, route.priority) for decision in self._decisions]
            certainties[place] = float(row[same].sum())
        return certainties

    def _mass(self, predictions: Sequence[Prediction], comments: Sequence[Comment]) -> Array:
        """Return the probability that each rule, and last the default, is the first to hold."""
        masks = self._masks
        beliefs = [said.beliefs for said in predictions if said.beliefs is not None]
        labels = np.stack([belief.labels for belief in beliefs])
        signals = np.stack([belief.signals for belief in beliefs])
        feeling = np.stack([belief.feeling for belief in beliefs])
        asked = np.einsum("nls,rls->nrl", labels, masks.labels)
        nothing = (1 - labels.sum(-1)).clip(0).prod(-1)[:, None] * (feeling @ masks.none.T)
        by_label = np.where(masks.has_label, 1 - (1 - asked).clip(0).prod(-1) + nothing, 1)
        warned = 1 - (1 - signals[:, None] * masks.signals).prod(-1)
        by_signal = np.where(masks.has_signal, warned, 1)
        holds = (by_label * by_signal * (feeling @ masks.sentiment.T)).clip(0, 1)
        holds *= np.array([self._known(p, c) for p, c in zip(predictions, comments, strict=True)])
        left = np.cumprod(1 - holds, axis=1)
        before = np.concatenate([np.ones((len(left), 1)), left], axis=1)
        every = np.concatenate([holds, np.ones((len(holds), 1))], axis=1)
        return np.asarray(before * every, dtype=np.float32)

    def _known(self, prediction: Prediction, comment: Comment) -> list[bool]:
        """Return for each rule whether what is known for sure of the comment allows it."""
        facts = known_facts(prediction.language, comment)
        return [_allows(rule, facts) for rule in self._router.rules]


def _allows(rule: Rule, facts: Mapping[str, frozenset[str]]) -> bool:
    return all(
        not wanted.isdisjoint(facts.get(field, frozenset()))
        for field, wanted in rule.when.items()
        if field not in _CHANCE
    )


def _masks(rules: Sequence[Rule], taxonomy: Taxonomy) -> _Masks:
    def mask(rule: Rule, field: str, facts: list[str]) -> list[float]:
        wanted = rule.when.get(field, frozenset())
        return [float(fact in wanted) for fact in facts]

    labels = [label_fact(label, mood) for label in taxonomy.labels for mood in SENTIMENTS]
    none = [label_fact(NONE, mood) for mood in SENTIMENTS]
    moods: list[str] = list(SENTIMENTS)
    shape = (len(rules), len(taxonomy.labels), len(SENTIMENTS))
    return _Masks(
        labels=np.array([mask(rule, "label", labels) for rule in rules], np.float32).reshape(shape),
        none=np.array([mask(rule, "label", none) for rule in rules], np.float32).reshape(-1, 3),
        has_label=np.array(["label" in rule.when for rule in rules], bool),
        sentiment=np.array(
            [mask(r, "sentiment", moods) if "sentiment" in r.when else [1.0] * 3 for r in rules],
            np.float32,
        ).reshape(-1, 3),
        signals=np.array(
            [mask(rule, "signal", list(taxonomy.signals)) for rule in rules], np.float32
        ).reshape(len(rules), len(taxonomy.signals)),
        has_signal=np.array(["signal" in rule.when for rule in rules], bool),
    )
