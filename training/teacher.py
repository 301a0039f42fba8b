"""What a finished model says of a text, for a smaller or later one to learn from (distillation).

The student learns the teacher's probabilities instead of, or beside, what people wrote down (Hinton
et al. 2015, arXiv:1503.02531): for every label its four outcomes, for every signal two, for the
comment three, and for labels that may be there how likely each token carries them. Texts without
any annotation serve too. Several teachers are averaged.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model.artifact import COMMENT, read_artifact
from model.calibration import softmax
from model.engine import Engine, Window
from model.errors import ConfigError
from model.taxonomy import Taxonomy
from model.text import calm, clean
from training.corpus import Example

log = logging.getLogger(__name__)
Array = npt.NDArray[np.float32]
Spans = Sequence[tuple[int, int]]
LIKELY = 0.15  # of a label's words a student learns from this probability on
_CHUNK = 1024  # texts that a teacher reads at a time


@dataclass(frozen=True, slots=True)
class Lesson:
    """What the teachers say of one text.

    `outcomes` [R, 4] are probabilities; a row sums to one over what is read of it (labels all four,
    signals the first two, the comment the last three). `rows` [K] are the labels and signals that
    may be there; `evidence` [K, T] is the probability that a token carries them, `spans` the T
    tokens' offsets in the cleaned text as the first teacher cut it.
    """

    outcomes: Array
    rows: npt.NDArray[np.int64]
    evidence: Array
    spans: npt.NDArray[np.int64]

    def evidence_at(self, spans: Spans) -> Array:
        """Return the evidence [K, len(spans)] for tokens that were cut otherwise; 0 outside all."""
        if not len(self.spans):
            return np.zeros((len(self.rows), len(spans)), dtype=np.float32)
        middle = np.array([(start + end) / 2 for start, end in spans])
        place = np.searchsorted(self.spans[:, 0], middle, side="right") - 1
        inside = (place >= 0) & (middle <= self.spans[place.clip(0), 1])
        real = np.array([end > start for start, end in spans])
        found: Array = self.evidence[:, place.clip(0)] * (inside & real)
        return found


class Teacher:
    """One finished model, by its folder."""

    def __init__(self, folder: Path, *, taxonomy: Taxonomy) -> None:
        artifact = read_artifact(folder)
        if untrained := artifact.check_fit(taxonomy):
            raise ConfigError(
                f"teacher {folder}: was not trained on {untrained[0]!r}; it must know every label"
            )
        self.name = artifact.name
        self._engine = Engine.load(
            folder / "model.onnx",
            folder / "tokenizer.json",
            artifact.rows,
            max_tokens=artifact.manifest["max_tokens"],
        )
        ids = artifact.rows.ids
        wanted = [*taxonomy.labels, *(f"signal:{signal}" for signal in taxonomy.signals), COMMENT]
        self._rows = np.array([ids.index(row) for row in wanted])
        self._labels = len(taxonomy.labels)

    def lessons(self, texts: Sequence[str]) -> list[Lesson]:
        """Return a lesson for each cleaned text; of a long one the first window is read."""
        windows = [found[0] for found in self._engine.windows([calm(text) for text in texts])]
        return [self._lesson(window) for window in windows]

    def _lesson(self, window: Window) -> Lesson:
        logits = window.logits[self._rows]
        outcomes = np.zeros_like(logits)
        outcomes[: self._labels] = softmax(logits[: self._labels])
        outcomes[self._labels : -1, :2] = softmax(logits[self._labels : -1, :2])
        outcomes[-1, 1:] = softmax(logits[-1, 1:])
        likely = np.flatnonzero(1 - outcomes[: self._labels, 0] >= LIKELY)
        scores = window.evidence[self._rows[likely]]
        evidence = 1 / (1 + np.exp(-scores))
        return Lesson(outcomes, likely, evidence.astype(np.float32), window.spans)


def teach(teachers: Sequence[Teacher], parts: Sequence[Sequence[Example]]) -> list[list[Lesson]]:
    """Return the lessons of all parts, in order.

    Probabilities are the mean of the teachers', evidence is that of the first.
    """
    texts = [clean(example.text).text for part in parts for example in part]
    lessons: list[Lesson] = []
    with tqdm(total=len(texts), unit="text", desc="teaching", disable=None) as bar:
        for start in range(0, len(texts), _CHUNK):
            chunk = texts[start : start + _CHUNK]
            lessons += _averaged([teacher.lessons(chunk) for teacher in teachers])
            bar.update(len(chunk))
    given = iter(lessons)
    log.info("%d texts taught by %s", len(texts), ", ".join(t.name for t in teachers))
    return [list(islice(given, len(part))) for part in parts]


def _averaged(said: Sequence[Sequence[Lesson]]) -> list[Lesson]:
    found: list[Lesson] = []
    for first, *others in zip(*said, strict=True):
        outcomes = np.mean([first.outcomes, *(other.outcomes for other in others)], axis=0)
        found.append(Lesson(outcomes, first.rows, first.evidence, first.spans))
    return found
