"""The pictures of a report: reliability, risk by coverage, F1 by label."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from training.report import MODEL, Report

_COLOURS = ("#1f5f8b", "#c8553d", "#5b8c5a", "#7d5ba6")


def draw(report: Report, folder: Path) -> list[Path]:
    """Write the pictures as SVG files and return them; sets without figures are left out."""
    drawn = [_reliability(report, folder), _risk(report, folder), _labels(report, folder)]
    return [path for path in drawn if path is not None]


def _reliability(report: Report, folder: Path) -> Path | None:
    found = {name: closer.bins for name, closer in report.closer.items() if closer.bins}
    if not found:
        return None
    figure, axes = _figure("confidence", "share that is right")
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1, linestyle=":")
    for colour, (name, bins) in zip(_COLOURS, found.items(), strict=False):
        points = ([b.said for b in bins], [b.right for b in bins])
        axes.plot(*points, marker="o", color=colour, label=name)
    return _saved(figure, axes, folder / "reliability.svg")


def _risk(report: Report, folder: Path) -> Path | None:
    curves = {name: closer.curve for name, closer in report.closer.items() if closer.curve}
    if not curves:
        return None
    figure, axes = _figure("share of comments that nobody looks at", "wrong team or priority")
    for colour, (name, curve) in zip(_COLOURS, curves.items(), strict=False):
        shares = np.arange(1, len(curve.risks) + 1) / len(curve.risks)
        axes.plot(shares, curve.risks, color=colour, label=name)
    return _saved(figure, axes, folder / "risk-coverage.svg")


def _labels(report: Report, folder: Path) -> Path | None:
    sets = {
        name: scorers[MODEL].labels
        for name, scorers in report.sets.items()
        if any(tally.cases for tally in scorers[MODEL].labels.values())
    }
    if not sets:
        return None
    labels = sorted({label for tallies in sets.values() for label in tallies}, reverse=True)
    figure, axes = _figure("F1", "", height=0.28 * len(labels) + 1)
    thick = 0.8 / len(sets)
    for place, (name, tallies) in enumerate(sets.items()):
        values = [tallies[label].f1 if label in tallies else 0.0 for label in labels]
        rows = np.arange(len(labels)) + place * thick
        axes.barh(rows, values, thick, color=_COLOURS[place % len(_COLOURS)], label=name)
    axes.set_yticks(np.arange(len(labels)) + 0.4 - thick / 2, labels)
    return _saved(figure, axes, folder / "labels.svg")


def _figure(x: str, y: str, *, height: float = 4.5) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.5, height), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(0, 1)
    return figure, axes


def _saved(figure: Figure, axes: Axes, path: Path) -> Path:
    axes.legend(frameon=False)
    # No date and no random ids: the same report gives the same files.
    figure.savefig(path, metadata={"Date": None})
    return path
