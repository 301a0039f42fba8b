"""The report of an evaluation: figures by set and scorer, as Markdown and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.behaviour import Outcome
from training.bootstrap import Interval
from training.deletion import Deletion
from training.metrics import Metrics, Tally
from training.mistakes import Confusion, Mistake
from training.reliability import Bin
from training.risk import Curve

MODEL = "model"
_FIGURES = {
    "label_micro_f1": "label micro-F1",
    "label_precision": "precision",
    "label_recall": "recall",
    "label_macro_f1": "label macro-F1 (≥ 5 cases)",
    "label_sentiment_micro_f1": "label with sentiment",
    "area_micro_f1": "area micro-F1",
    "sentiment_accuracy": "comment sentiment",
    "sentiment_macro_f1": "comment sentiment, macro-F1",
    "clear_sentiment_accuracy": "comment sentiment, not neutral",
    "signal_micro_f1": "signal micro-F1",
    "route_accuracy": "right team (a rule is for the comment)",
    "route_commonest": "always the commonest team",
    "evidence_character_f1": "evidence characters F1",
    "evidence_word_f1": "evidence words F1",
    "label_calibration_error": "calibration error of labels (from .2 up)",
    "coarse_micro_f1": "coarse labels micro-F1",
    "coarse_macro_f1": "coarse labels macro-F1",
}
_SLICED = (
    "label_micro_f1",
    "label_sentiment_micro_f1",
    "sentiment_accuracy",
    "route_accuracy",
    "evidence_character_f1",
)
_SHARES = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0)  # of comments that are not flagged


@dataclass(slots=True, kw_only=True)
class Closer:
    """What only the model is looked at for, on one set: where and how it goes wrong."""

    slices: dict[str, dict[str, Metrics]] = field(default_factory=dict)  # kind -> name
    confusions: list[Confusion] = field(default_factory=list)
    worst: list[Mistake] = field(default_factory=list)
    deletion: Deletion | None = None
    bins: list[Bin] = field(default_factory=list)
    curve: Curve | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by test set ("de", "en", or "coarse en"), then by scorer.

    `intervals` are those of the model's figures, `leads` those of what the model is ahead of each
    other scorer, on the same comments; `closer` looks at the model alone.
    """

    sets: dict[str, dict[str, Metrics]]
    astray: dict[str, list[str]] = field(default_factory=dict)  # must-route cases the model missed
    intervals: dict[str, dict[str, Interval]] = field(default_factory=dict)
    leads: dict[str, dict[str, dict[str, Interval]]] = field(default_factory=dict)
    closer: dict[str, Closer] = field(default_factory=dict)
    behaviour: dict[str, dict[str, Outcome]] = field(default_factory=dict)  # language -> kind

    def figures(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the figures: set -> scorer -> name -> value; `…_95` are intervals."""
        found = {
            name: {scorer: metrics.summary() for scorer, metrics in scorers.items()}
            for name, scorers in self.sets.items()
        }
        for name, intervals in self.intervals.items():
            found[name][MODEL] |= {f"{key}_95": [i.low, i.high] for key, i in intervals.items()}
        for name, leads in self.leads.items():
            for scorer, of_figures in leads.items():
                found[name][scorer] |= {
                    f"model_ahead_{key}_95": [i.low, i.high] for key, i in of_figures.items()
                }
        for name, closer in self.closer.items():
            found[name][MODEL] |= _closer_figures(closer)
        for language, outcomes in self.behaviour.items():
            found[f"behaviour {language}"] = {
                MODEL: {
                    kind: {"tried": of.tried, "failure_rate": round(of.rate, 4)}
                    for kind, of in outcomes.items()
                }
            }
        return found

    def markdown(self) -> str:
        """Return the report as Markdown tables: figures by scorer, then the model by label."""
        parts = []
        for name, scorers in self.sets.items():
            count = next(iter(scorers.values())).comments
            parts.append(f"### {name} ({count} comments)\n")
            parts.append(_figures_table(scorers, self.intervals.get(name, {})))
            parts += _leads_table(self.leads.get(name, {}))
            if astray := self.astray.get(name):
                parts.append("Sent elsewhere by the model: " + "; ".join(astray) + ".\n")
            metrics = scorers[MODEL]
            for kind, tallies in (
                ("label", metrics.labels),
                ("signal", metrics.signals),
                ("one of", metrics.coarse),
                ("team", metrics.teams),
            ):
                if any(tally.cases for tally in tallies.values()):
                    parts.append(_tally_table(kind, tallies))
            if closer := self.closer.get(name):
                parts += _closer_parts(closer)
        parts += _behaviour_parts(self.behaviour)
        return "\n".join(parts)

    def worst(self) -> str:
        """Return the worst mistakes as Markdown, with the texts: to read, not to pass on."""
        parts = ["Comments are customers' words: this page is to be read here, not passed on.\n"]
        for name, closer in self.closer.items():
            if closer.worst:
                parts.append(f"### {name}\n")
                parts += [mistake.markdown() for mistake in closer.worst]
        return "\n".join(parts)


def _closer_figures(closer: Closer) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if closer.slices:
        found["slices"] = {
            kind: {name: metrics.summary() for name, metrics in slices.items()}
            for kind, slices in closer.slices.items()
        }
    if closer.confusions:
        found["confusions"] = [[c.true, c.said, c.count] for c in closer.confusions]
    if closer.deletion:
        found["evidence_deletion"] = closer.deletion.summary()
    if closer.bins:
        found["reliability"] = [[round(b.said, 4), round(b.right, 4), b.count] for b in closer.bins]
    if closer.curve:
        found["route_risk_at_share"] = {
            str(share): round(closer.curve.risk(share), 4) for share in _SHARES
        }
    return found


def _closer_parts(closer: Closer) -> list[str]:
    parts = [_slice_table(kind, slices) for kind, slices in closer.slices.items() if slices]
    if closer.confusions:
        rows = [f"| {c.true} | {c.said} | {c.count} |" for c in closer.confusions]
        parts.append(
            "\n".join(["| missed | said instead | comments |", "|---|---|---|", *rows, ""])
        )
    if closer.deletion:
        parts.append(closer.deletion.markdown())
    if closer.curve:
        rows = [f"| {share:.0%} | {closer.curve.risk(share):.3f} |" for share in _SHARES]
        head = ["| surest routes | wrong team or priority |", "|---|---|"]
        parts.append("\n".join([*head, *rows, ""]))
    return parts


def _behaviour_parts(behaviour: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    if not behaviour:
        return []
    kinds = list(dict.fromkeys(kind for outcomes in behaviour.values() for kind in outcomes))
    lines = [
        "### Behaviour: share of pairs that fail\n",
        "| kind | " + " | ".join(behaviour) + " |",
        "|---" * (len(behaviour) + 1) + "|",
    ]
    for kind in kinds:
        found = [outcomes.get(kind) for outcomes in behaviour.values()]
        cells = [f"{of.rate:.2f} of {of.tried}" if of else "" for of in found]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    return ["\n".join(lines) + "\n"]


def _slice_table(kind: str, slices: Mapping[str, Metrics]) -> str:
    figures = {name: metrics.summary() for name, metrics in slices.items()}
    keys = [key for key in _SLICED if any(key in found for found in figures.values())]
    lines = [
        f"| {kind} | comments | " + " | ".join(_FIGURES[key] for key in keys) + " |",
        "|---" * (len(keys) + 2) + "|",
    ]
    for name, found in figures.items():
        cells = [f"{found[key]:.3f}" if key in found else "" for key in keys]
        lines.append(f"| {name} | {found['comments']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _figures_table(scorers: dict[str, Metrics], intervals: dict[str, Interval]) -> str:
    figures = {name: metrics.summary() for name, metrics in scorers.items()}
    lines = ["| figure | " + " | ".join(figures) + " |", "|---" * (len(figures) + 1) + "|"]
    for key, title in _FIGURES.items():
        values = [found.get(key) for found in figures.values()]
        if any(value is not None for value in values):
            cells = ["" if value is None else f"{value:.3f}" for value in values]
            if doubt := intervals.get(key):
                cells[0] += f" ({doubt.low:.3f} to {doubt.high:.3f})"
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _leads_table(leads: dict[str, dict[str, Interval]]) -> list[str]:
    if not leads:
        return []
    lines = [
        "| the model is ahead by | " + " | ".join(leads) + " |",
        "|---" * (len(leads) + 1) + "|",
    ]
    for key, title in _FIGURES.items():
        found = [of_figures.get(key) for of_figures in leads.values()]
        if any(found):
            cells = [f"{i.low:+.3f} to {i.high:+.3f}" if i else "" for i in found]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return ["\n".join(lines) + "\n"]


def _tally_table(kind: str, tallies: dict[str, Tally]) -> str:
    lines = [f"| {kind} | cases | precision | recall | F1 |", "|---|---|---|---|---|"]
    for name, tally in tallies.items():
        if tally.cases or tally.false:
            figures = f"{tally.precision:.2f} | {tally.recall:.2f} | {tally.f1:.2f}"
            lines.append(f"| {name.replace('|', 'or')} | {tally.cases} | {figures} |")
    return "\n".join(lines) + "\n"
