"""What the tests of routing share: predictions by hand, and a library with two files of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.records import Comment, LabelScore, Prediction, Sentiment, SignalScore
from model.routing import Router
from model.taxonomy import Taxonomy, load_taxonomy

LIBRARY_TAXONOMY = """
[areas]
books = { en = "Books", de = "Bücher" }
house = { en = "House", de = "Haus" }

[labels."books.choice"]
en = "Choice"
de = "Auswahl"
means = { en = "which books there are", de = "welche Bücher es gibt" }

[labels."books.state"]
en = "State"
de = "Zustand"
means = { en = "torn or clean", de = "zerrissen oder sauber" }

[labels."house.noise"]
en = "Noise"
de = "Lärm"
means = { en = "how loud it is", de = "wie laut es ist" }

[labels."house.smell"]
en = "Smell"
de = "Geruch"
means = { en = "how it smells", de = "wie es riecht" }
retired = true

[signals.lost]
en = "Lost book"
de = "Buch verloren"
means = { en = "has lost a book", de = "hat ein Buch verloren" }
"""

HEAD = """
[teams]
desk = { en = "Desk", de = "Theke" }
keeper = { en = "Keeper", de = "Hausmeister" }

[actions]
write = { en = "Write", de = "Schreiben" }
sweep = { en = "Sweep", de = "Fegen" }
"""

DEFAULT = """
[default]
team = "desk"
priority = "low"
due_hours = 100
actions = ["write"]
"""


def predicted(
    sentiment: Sentiment,
    *labels: tuple[str, Sentiment],
    signals: tuple[str, ...] = (),
    language: str = "de",
) -> Prediction:
    return Prediction(
        language=language,
        sentiment=sentiment,
        confidence=0.9,
        labels=tuple(
            LabelScore(
                label=label,
                area=label.partition(".")[0],
                sentiment=feeling,
                confidence=0.9,
                sentiment_confidence=0.9,
            )
            for label, feeling in labels
        ),
        signals=tuple(SignalScore(signal=signal, confidence=0.9) for signal in signals),
    )


def commented(text: str = "Na ja.", **more: Any) -> Comment:
    return Comment(id="1", text=text, **more)


def rule_text(name: str, when: str, *, team: str = "keeper") -> str:
    return f"""
[[rules]]
name = "{name}"
when = {{ {when} }}
team = "{team}"
priority = "normal"
due_hours = 5
actions = ["sweep", "write"]
"""


def library_taxonomy(folder: Path) -> Taxonomy:
    path = folder / "labels.toml"
    path.write_text(LIBRARY_TAXONOMY, encoding="utf-8")
    return load_taxonomy(path)


def library_router(folder: Path, *rules: str, head: str = HEAD, default: str = DEFAULT) -> Router:
    path = folder / "routing.toml"
    path.write_text(head + "".join(rules) + default, encoding="utf-8")
    return Router.load(path, taxonomy=library_taxonomy(folder))
