"""How good predictions are against labelled comments; what is not annotated is not judged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from model.records import SENTIMENTS, Comment, LabelScore, Prediction, Sentiment, SignalScore
from model.routing import Router
from model.taxonomy import Taxonomy
from model.text import words
from training.corpus import Example

MACRO_POSITIVES = 5  # labels with fewer cases say nothing in a macro average


@dataclass(slots=True)
class Tally:
    """Hits, false alarms and misses of one kind of decision."""

    hits: int = 0
    false: int = 0
    missed: int = 0

    def add(self, said: bool, true: bool) -> None:
        """Count one decision."""
        self.hits += said and true
        self.false += said and not true
        self.missed += true and not said

    @property
    def cases(self) -> int:
        """Return how often it was really there."""
        return self.hits + self.missed

    @property
    def precision(self) -> float:
        """Return the share of what was said that is true."""
        return self.hits / max(1, self.hits + self.false)

    @property
    def recall(self) -> float:
        """Return the share of what is true that was said."""
        return self.hits / max(1, self.cases)

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false + self.missed)


@dataclass(slots=True)
class Share:
    """How many of how many were right."""

    right: float = 0.0
    count: float = 0.0

    @property
    def value(self) -> float:
        """Return the share, 0 where there was nothing."""
        return self.right / self.count if self.count else 0.0


@dataclass(slots=True)
class Metrics:
    """All that is counted over some comments; see `summary` for the figures."""

    comments: int = 0
    labels: dict[str, Tally] = field(default_factory=dict)
    with_sentiment: Tally = field(default_factory=Tally)
    areas: dict[str, Tally] = field(default_factory=dict)
    signals: dict[str, Tally] = field(default_factory=dict)
    coarse: dict[str, Tally] = field(default_factory=dict)
    sentiment: Share = field(default_factory=Share)
    feelings: dict[str, Tally] = field(default_factory=dict)  # the comment's sentiment, by value
    clear_sentiment: Share = field(default_factory=Share)
    evidence: Share = field(default_factory=Share)
    evidence_words: Share = field(default_factory=Share)
    teams: dict[str, Tally] = field(default_factory=dict)
    route: Share = field(default_factory=Share)
    calibration_error: float | None = None  # of labels; judged where probabilities are at hand

    def summary(self) -> dict[str, Any]:
        """Return the figures, rounded; kinds that were never judged are left out."""
        figures: dict[str, Any] = {"comments": self.comments}
        if _cases(self.labels):
            figures["label_micro_f1"] = micro(self.labels).f1
            figures["label_precision"] = micro(self.labels).precision
            figures["label_recall"] = micro(self.labels).recall
            figures["label_macro_f1"] = macro(self.labels)
            figures["label_sentiment_micro_f1"] = self.with_sentiment.f1
            figures["area_micro_f1"] = micro(self.areas).f1
        if self.sentiment.count:
            figures["sentiment_accuracy"] = self.sentiment.value
            figures["sentiment_macro_f1"] = macro(self.feelings)
            figures["clear_sentiment_accuracy"] = self.clear_sentiment.value
        if _cases(self.signals):
            figures["signal_micro_f1"] = micro(self.signals).f1
        if self.evidence.count:
            figures["evidence_character_f1"] = self.evidence.value
            figures["evidence_word_f1"] = self.evidence_words.value
        if self.calibration_error is not None:
            figures["label_calibration_error"] = self.calibration_error
        if self.route.count:
            figures["route_accuracy"] = self.route.value
            commonest = max(team.cases for team in self.teams.values())
            figures["route_commonest"] = commonest / self.route.count
        if _cases(self.coarse):
            figures["coarse_micro_f1"] = micro(self.coarse).f1
            figures["coarse_macro_f1"] = macro(self.coarse)
        return {key: round(v, 4) if isinstance(v, float) else v for key, v in figures.items()}


def judge(
    examples: Sequence[Example],
    predictions: Sequence[Prediction],
    *,
    taxonomy: Taxonomy,
    router: Router | None = None,
) -> Metrics:
    """Return the counts over all comments; routes are judged where a router is given."""
    metrics = Metrics(comments=len(examples))
    for example, prediction in zip(examples, predictions, strict=True):
        _labels(metrics, example, prediction, taxonomy)
        if router is not None:
            _route(metrics, example, prediction, router=router, taxonomy=taxonomy)
        _signals(metrics, example, prediction, taxonomy)
        if example.sentiment is not None:
            right = prediction.sentiment == example.sentiment
            metrics.sentiment.right += right
            metrics.sentiment.count += 1
            for feeling in {prediction.sentiment, example.sentiment}:
                _tally(metrics.feelings, feeling).add(
                    prediction.sentiment == feeling, example.sentiment == feeling
                )
            if example.sentiment != "neutral":
                metrics.clear_sentiment.right += right
                metrics.clear_sentiment.count += 1
        said = {label.label for label in prediction.labels}
        for group, present in example.judged.items():
            _tally(metrics.coarse, " | ".join(group)).add(bool(said & set(group)), present)
    return metrics


def micro(tallies: Mapping[str, Tally]) -> Tally:
    """Return the sum of tallies."""
    every = tallies.values()
    return Tally(
        sum(t.hits for t in every), sum(t.false for t in every), sum(t.missed for t in every)
    )


def macro(tallies: Mapping[str, Tally]) -> float:
    """Return the mean F1 of those with at least five cases, 0 where there is none."""
    scores = [tally.f1 for tally in tallies.values() if tally.cases >= MACRO_POSITIVES]
    return sum(scores) / len(scores) if scores else 0.0


def _labels(metrics: Metrics, example: Example, prediction: Prediction, taxonomy: Taxonomy) -> None:
    if example.judged:
        return  # coarse: judged by sets of labels alone
    said = {label.label: label for label in prediction.labels}
    known = set(example.labels) | example.absent
    for label in taxonomy.labels:
        if label not in known:
            continue
        note, found = example.labels.get(label), said.get(label)
        _tally(metrics.labels, label).add(found is not None, note is not None)
        if note is not None and note.sentiment is None:
            continue
        agreed = bool(found and note and found.sentiment == note.sentiment)
        metrics.with_sentiment.hits += agreed
        metrics.with_sentiment.false += found is not None and not agreed
        metrics.with_sentiment.missed += note is not None and not agreed
        if found and note and note.evidence:
            spans = [(piece.start, piece.end) for piece in found.evidence]
            metrics.evidence.right += character_f1(spans, note.evidence)
            metrics.evidence.count += 1
            metrics.evidence_words.right += word_f1(spans, note.evidence, text=example.text)
            metrics.evidence_words.count += 1
    if known:
        areas = {taxonomy.labels[label].area for label in example.labels}
        areas_said = {taxonomy.labels[label].area for label in said}
        for area in taxonomy.areas:
            _tally(metrics.areas, area).add(area in areas_said, area in areas)


def _signals(
    metrics: Metrics, example: Example, prediction: Prediction, taxonomy: Taxonomy
) -> None:
    if example.signals is None:
        return
    said = {signal.signal for signal in prediction.signals}
    for signal in taxonomy.signals:
        _tally(metrics.signals, signal).add(signal in said, signal in example.signals)


def _route(
    metrics: Metrics,
    example: Example,
    prediction: Prediction,
    *,
    router: Router,
    taxonomy: Taxonomy,
) -> None:
    """Judge the team; the right one is that of the gold labels, signals and sentiment.

    Left out are comments that are not annotated in full, and those that no rule is for.
    """
    gold = gold_prediction(example, taxonomy=taxonomy)
    if gold is None:
        return
    comment = Comment(id=example.id, text=example.text, score=example.score)
    right = router.route(gold, comment)
    if right.rule == router.default.name:
        return
    found = router.route(prediction, comment)
    metrics.route.count += 1
    metrics.route.right += found.team == right.team
    for team in {found.team, right.team}:
        _tally(metrics.teams, team).add(found.team == team, right.team == team)


def judge_must_route(
    examples: Sequence[Example], predictions: Sequence[Prediction], *, router: Router
) -> Metrics:
    """Return how many comments reach the team that their signals demand, whatever they are about.

    The examples need signals alone; comments that carry none are left out.
    """
    metrics = Metrics(comments=len(examples))
    for example, prediction in zip(examples, predictions, strict=True):
        if not example.signals:
            continue
        right, found = must_route(example, prediction, router=router)
        metrics.route.count += 1
        metrics.route.right += found == right
        for team in {found, right}:
            _tally(metrics.teams, team).add(found == team, right == team)
    return metrics


def must_route(example: Example, prediction: Prediction, *, router: Router) -> tuple[str, str]:
    """Return the team that the signals of a comment demand, and the one that it goes to."""
    comment = Comment(id=example.id, text=example.text, score=example.score)
    gold = Prediction(
        language=example.language,
        sentiment="neutral",
        confidence=1.0,
        signals=tuple(SignalScore(signal=s, confidence=1.0) for s in sorted(example.signals or ())),
    )
    return router.route(gold, comment).team, router.route(prediction, comment).team


def gold_prediction(example: Example, *, taxonomy: Taxonomy) -> Prediction | None:
    """Return what a model without fault would say; None where the annotation leaves a part open."""
    feelings = [note.sentiment for note in example.labels.values()]
    if example.sentiment is None or example.signals is None or None in feelings:
        return None
    if set(example.labels) | example.absent != set(taxonomy.labels):
        return None
    return Prediction(
        language=example.language,
        sentiment=_feeling(example.sentiment),
        confidence=1.0,
        labels=tuple(
            LabelScore(
                label=label,
                area=taxonomy.labels[label].area,
                sentiment=_feeling(note.sentiment),
                confidence=1.0,
                sentiment_confidence=1.0,
            )
            for label, note in example.labels.items()
        ),
        signals=tuple(SignalScore(signal=s, confidence=1.0) for s in sorted(example.signals)),
    )


def _feeling(name: str | None) -> Sentiment:
    return next(sentiment for sentiment in SENTIMENTS if sentiment == name)


def character_f1(said: Iterable[tuple[int, int]], true: tuple[int, int]) -> float:
    """Return the F1 of the characters of some spans against those of the true one."""
    chosen = {i for start, end in said for i in range(start, end)}
    wanted = set(range(*true))
    return 2 * len(chosen & wanted) / max(1, len(chosen) + len(wanted))


def word_f1(said: Iterable[tuple[int, int]], true: tuple[int, int], *, text: str) -> float:
    """Return the F1 of the words that some spans touch against those that the true one does."""
    spans = list(said)
    places = words(text)
    chosen = {i for i, word in enumerate(places) if any(_touch(word, span) for span in spans)}
    wanted = {i for i, word in enumerate(places) if _touch(word, true)}
    return 2 * len(chosen & wanted) / max(1, len(chosen) + len(wanted))


def _touch(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _tally(tallies: dict[str, Tally], key: str) -> Tally:
    return tallies.setdefault(key, Tally())


def _cases(tallies: Mapping[str, Tally]) -> int:
    return sum(tally.cases for tally in tallies.values())
