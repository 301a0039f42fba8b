"""The central noun and verb: `Classifier.load(path).classify(comments)`.

It cleans texts, lets the engine read them, turns logits into calibrated probabilities, decides by the
thresholds of the manifest, and finds the words that carry each decision. All label-specific knowledge
is in the artefact and the taxonomy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.artifact import COMMENT, Artifact, RowTable, read_artifact
from model.calibration import Calibration
from model.engine import Engine, Window
from model.evidence import WordGrid
from model.language import detect_language
from model.records import (
    SENTIMENTS,
    Comment,
    Evidence,
    LabelScore,
    Prediction,
    SignalScore,
)
from model.taxonomy import Taxonomy, load_taxonomy
from model.text import CleanText, clauses, clean, words

Array = npt.NDArray[np.float32]
MAX_CHARACTERS = 10_000  # a longer comment is read at its head and its tail
CHUNK_COMMENTS = 2048
DECIMALS = 4  # of a confidence: more would only show rounding


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a comment that is read: the whole, or head and tail of an over-long one."""

    offset: int
    text: CleanText


@dataclass(frozen=True, slots=True)
class _Reading:
    """All windows of a comment: probabilities [W, R, 4] already calibrated, and their sources."""

    windows: list[tuple[_Stretch, Window]]
    logits: Array


class Classifier:
    """Says what comments are about. Several threads may call `classify` at once."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        taxonomy: Taxonomy,
        engine: Engine,
        rows: RowTable,
        untrained: Sequence[str],
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self.name = artifact.name
        self.taxonomy = taxonomy
        self.languages = tuple(artifact.manifest["languages"])
        self._calibration = Calibration.from_manifest(artifact.manifest["calibration"])
        self._engine = engine
        self._untrained = frozenset(untrained)
        self._max_characters = max_characters
        place = {row: i for i, row in enumerate(rows.ids)}
        self._labels = [(term, place[term.id]) for term in taxonomy.labels.values()]
        self._signals = [(term, place[f"signal:{term.id}"]) for term in taxonomy.signals.values()]
        self._comment = place[COMMENT]

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        taxonomy: Taxonomy | None = None,
        threads: int = 0,
        max_characters: int = MAX_CHARACTERS,
    ) -> Classifier:
        """Load and check a model folder; without `taxonomy` the model's own is used.

        Labels that the taxonomy has and the model was not trained on are scored by their texts and
        marked untrained. Raises `ArtifactError` where folder and taxonomy do not fit.
        """
        artifact = read_artifact(folder)
        taxonomy = taxonomy or load_taxonomy(folder / "labels.toml")
        untrained = artifact.check_fit(taxonomy)
        engine = Engine.load(
            folder / "model.onnx",
            folder / "tokenizer.json",
            artifact.rows,
            max_tokens=int(artifact.manifest["max_tokens"]),
            threads=threads,
        )
        rows = artifact.rows
        if untrained:
            rows = _with_untrained(rows, untrained, taxonomy=taxonomy, engine=engine)
            engine = engine.with_rows(rows)
        return cls(
            artifact,
            taxonomy=taxonomy,
            engine=engine,
            rows=rows,
            untrained=untrained,
            max_characters=max_characters,
        )

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""
        found: list[Prediction] = []
        for start in range(0, len(comments), CHUNK_COMMENTS):
            chunk = comments[start : start + CHUNK_COMMENTS]
            readings = self._read(chunk)
            found += [self._judge(c, reading) for c, reading in zip(chunk, readings, strict=True)]
        return found

    def logits(self, comments: Sequence[Comment]) -> Array:
        """Return raw logits [comments, R, 4], the strongest window of each row: for calibration."""
        chosen = []
        for reading in self._read(comments):
            strongest = _strength(reading.logits).argmax(0)
            chosen.append(reading.logits[strongest, np.arange(reading.logits.shape[1])])
        return np.stack(chosen)

    def _read(self, comments: Sequence[Comment]) -> list[_Reading]:
        stretches = [self._stretches(comment.text) for comment in comments]
        flat = [stretch for several in stretches for stretch in several]
        answers = iter(self._engine.windows([stretch.text.text for stretch in flat]))
        readings = []
        for several in stretches:
            windows = [(stretch, window) for stretch in several for window in next(answers)]
            readings.append(_Reading(windows, np.stack([w.logits for _, w in windows])))
        return readings

    def _stretches(self, text: str) -> list[_Stretch]:
        if len(text) <= self._max_characters:
            return [_Stretch(0, clean(text))]
        half = self._max_characters // 2
        tail = len(text) - half
        return [_Stretch(0, clean(text[:half])), _Stretch(tail, clean(text[tail:]))]

    def _judge(self, comment: Comment, reading: _Reading) -> Prediction:
        truncated = len(comment.text) > self._max_characters
        text = reading.windows[0][0].text.text
        language = comment.language or detect_language(text)
        if not any(stretch.text.text for stretch, _ in reading.windows):
            return Prediction(
                language=language, sentiment="neutral", confidence=1.0, truncated=truncated
            )
        calibration = self._calibration
        feeling = calibration.feeling(reading.logits[:, self._comment]).mean(0)
        grids: dict[int, WordGrid] = {}
        labels = self._labels_of(reading, grids)
        signals = self._signals_of(reading, grids)
        return Prediction(
            language=language,
            sentiment=SENTIMENTS[int(feeling.argmax())],
            confidence=_rounded(feeling.max()),
            labels=tuple(sorted(labels, key=lambda label: -label.confidence)),
            signals=tuple(sorted(signals, key=lambda signal: -signal.confidence)),
            truncated=truncated,
        )

    def _labels_of(self, reading: _Reading, grids: dict[int, WordGrid]) -> list[LabelScore]:
        rows = [row for _, row in self._labels]
        presence = self._calibration.presence(reading.logits[:, rows])
        found = []
        for position in np.flatnonzero(presence.max(0) > 0.0):
            term, row = self._labels[position]
            window = int(presence[:, position].argmax())
            confidence = float(presence[window, position])
            if confidence < self._calibration.label_threshold(term.id):
                continue
            mood = self._calibration.mood(reading.logits[window, row])
            found.append(
                LabelScore(
                    label=term.id,
                    area=term.area,
                    sentiment=SENTIMENTS[int(mood.argmax())],
                    confidence=_rounded(confidence),
                    sentiment_confidence=_rounded(mood.max()),
                    evidence=self._evidence(reading, window, row, grids),
                    untrained=term.id in self._untrained,
                )
            )
        return found

    def _signals_of(self, reading: _Reading, grids: dict[int, WordGrid]) -> list[SignalScore]:
        found = []
        for term, row in self._signals:
            presence = self._calibration.warning(reading.logits[:, row])
            window = int(presence.argmax())
            confidence = float(presence[window])
            if confidence >= self._calibration.signal_threshold(term.id):
                evidence = self._evidence(reading, window, row, grids)
                found.append(
                    SignalScore(signal=term.id, confidence=_rounded(confidence), evidence=evidence)
                )
        return found

    def _evidence(
        self, reading: _Reading, number: int, row: int, grids: dict[int, WordGrid]
    ) -> tuple[Evidence, ...]:
        stretch, window = reading.windows[number]
        text = stretch.text
        if number not in grids:
            grids[number] = WordGrid(window.spans, words(text.text), clauses(text.text))
        run = grids[number].best_run(
            window.evidence[row],
            shift=self._calibration.evidence_shift,
            clause_cost=self._calibration.clause_cost,
        )
        if run is None:
            return ()
        start, end = text.original_span(*run)
        start, end, original = start + stretch.offset, end + stretch.offset, text.original
        words_of_customer = original[start - stretch.offset : end - stretch.offset]
        return (Evidence(start=start, end=end, text=words_of_customer),)


def _strength(logits: Array) -> Array:
    """Return how strongly each row speaks in each window [W, R]: the log-odds against its first outcome."""
    return np.asarray(logits[:, :, 1:].max(-1) - logits[:, :, 0])


def _rounded(probability: float) -> float:
    return round(float(probability), DECIMALS)


def _with_untrained(
    rows: RowTable, untrained: Sequence[str], *, taxonomy: Taxonomy, engine: Engine
) -> RowTable:
    """Return the rows with those of untrained labels and signals: shared parts alone, own ones none."""
    signals = {f"signal:{term.id}": term for term in taxonomy.signals.values()}
    terms = [taxonomy.labels.get(key) or signals[key] for key in untrained]
    encoded = engine.describe([term.described for term in terms])
    kinds = [1 if key in signals else 0 for key in untrained]
    queries = np.stack([rows.query_of(vector) for vector in encoded])
    return replace(
        rows,
        ids=(*rows.ids, *untrained),
        queries=np.concatenate([rows.queries, queries]),
        own=np.concatenate([rows.own, rows.shared[kinds]]),
        bias=np.concatenate([rows.bias, rows.shared_bias[kinds]]),
    )
