"""The central noun and verb: `Classifier.load(path).classify(comments)`.

It cleans texts, lets the engine read them, turns logits into calibrated probabilities, decides by
the thresholds of the manifest, and finds the words that carry each decision. All that belongs to a
label is in the artefact and the taxonomy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model.artifact import COMMENT, KINDS, Artifact, RowTable, read_artifact
from model.calibration import Calibration
from model.clauses import clauses
from model.engine import Engine
from model.evidence import Passage, Question, Span, best_runs
from model.language import detect_language
from model.reading import Reader, Reading, Stretch
from model.records import (
    SENTIMENTS,
    Beliefs,
    Comment,
    Evidence,
    LabelScore,
    Prediction,
    SignalScore,
)
from model.taxonomy import Taxonomy, load_taxonomy
from model.text import words

Array = npt.NDArray[np.float32]
MAX_CHARACTERS = 10_000  # a longer comment is read at its head and its tail
# No data marks the words of a signal, so their log-odds know no zero: the peak is the measure.
SIGNAL_PEAK = 2.5
DECIMALS = 4  # of a confidence: more would only show rounding


class Classifier:
    """Says what comments are about. Several threads may call `classify` at once."""

    def __init__(
        self,
        artifact: Artifact,
        *,
        taxonomy: Taxonomy,
        engine: Engine,
        untrained: Sequence[str],
        max_characters: int = MAX_CHARACTERS,
    ) -> None:
        self.name = artifact.name
        self.taxonomy = taxonomy
        self.languages = tuple(artifact.manifest["languages"])
        self.certificate = artifact.certificate()
        self._calibration = artifact.calibration
        self._engine = engine
        self._untrained = frozenset(untrained)
        self._max_characters = max_characters
        self._reader = Reader(engine, max_characters=max_characters)
        ids = engine.rows.ids
        self._comment = ids.index(COMMENT)
        self._labels = np.array([ids.index(label) for label in taxonomy.labels], dtype=np.int64)
        self._signals = np.array(
            [ids.index(f"signal:{signal}") for signal in taxonomy.signals], dtype=np.int64
        )
        self._label_terms, self._signal_ids = [*taxonomy.labels.values()], [*taxonomy.signals]
        calibration = artifact.calibration
        self._label_thresholds = np.array(
            [calibration.label_threshold(label) for label in taxonomy.labels], dtype=np.float32
        )
        self._signal_thresholds = np.array(
            [calibration.signal_threshold(signal) for signal in taxonomy.signals], dtype=np.float32
        )

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
            max_tokens=artifact.manifest["max_tokens"],
            threads=threads,
        )
        if untrained:
            engine = engine.with_rows(_with_untrained(untrained, taxonomy=taxonomy, engine=engine))
        return cls(
            artifact,
            taxonomy=taxonomy,
            engine=engine,
            untrained=untrained,
            max_characters=max_characters,
        )

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order."""
        return [said for reading in self._reader.read(comments) for said in self._judge(reading)]

    def logits(self, comments: Sequence[Comment]) -> Array:
        """Return raw logits [comments, R, 4], of the strongest window of a row: to calibrate."""
        none = np.zeros((0, len(self._engine.rows.ids), 4), dtype=np.float32)
        return np.concatenate([none, *(reading.logits for reading in self._reader.read(comments))])

    def probabilities(self, comments: Sequence[Comment]) -> Array:
        """Return the calibrated probability of each label [comments, labels], in their order."""
        return self._calibration.presence(self.logits(comments)[:, self._labels])

    def _judge(self, reading: Reading) -> Iterator[Prediction]:
        """Yield a prediction for each comment; probabilities are worked out for all at once."""
        of_labels = reading.logits[:, self._labels]
        feeling = self._calibration.feeling(reading.logits[:, self._comment])
        presence = self._calibration.presence(of_labels)
        moods = self._calibration.mood(of_labels)
        warnings = self._calibration.warning(reading.logits[:, self._signals])
        beliefs = presence[..., None] * moods
        labels, signals = self._found(reading, presence, moods, warnings)
        for n, (comment, windows) in enumerate(zip(reading.comments, reading.windows, strict=True)):
            truncated = len(comment.text) > self._max_characters
            if not windows:
                language = comment.language or "und"
                yield Prediction(
                    language=language, sentiment="neutral", confidence=1.0, truncated=truncated
                )
                continue
            yield Prediction(
                language=comment.language or detect_language(windows[0][0].text.text),
                sentiment=SENTIMENTS[int(feeling[n].argmax())],
                confidence=_rounded(feeling[n].max()),
                labels=tuple(sorted(labels[n], key=lambda label: -label.confidence)),
                signals=tuple(sorted(signals[n], key=lambda signal: -signal.confidence)),
                truncated=truncated,
                # Copies: a prediction that is kept does not keep those of its neighbours.
                beliefs=Beliefs(
                    labels=beliefs[n].copy(),
                    signals=warnings[n].copy(),
                    feeling=feeling[n].copy(),
                ),
            )

    def _found(
        self, reading: Reading, presence: Array, moods: Array, warnings: Array
    ) -> tuple[list[list[LabelScore]], list[list[SignalScore]]]:
        """Return for each comment the labels and signals over their thresholds, with evidence."""
        read = np.array([bool(windows) for windows in reading.windows])[:, None]
        here = np.argwhere(read & (presence >= self._label_thresholds)).tolist()
        warned = np.argwhere(read & (warnings >= self._signal_thresholds)).tolist()
        asked = [_Asked(n, self._labels[term]) for n, term in here]
        asked += [_Asked(n, self._signals[term], SIGNAL_PEAK) for n, term in warned]
        evidence = iter(_evidence(reading, asked, calibration=self._calibration))
        labels: list[list[LabelScore]] = [[] for _ in reading.comments]
        for n, term in here:
            label, mood = self._label_terms[term], moods[n, term]
            labels[n].append(
                LabelScore(
                    label=label.id,
                    area=label.area,
                    sentiment=SENTIMENTS[int(mood.argmax())],
                    confidence=_rounded(presence[n, term]),
                    sentiment_confidence=_rounded(mood.max()),
                    evidence=next(evidence),
                    untrained=label.id in self._untrained,
                )
            )
        signals: list[list[SignalScore]] = [[] for _ in reading.comments]
        for n, term in warned:
            signals[n].append(
                SignalScore(
                    signal=self._signal_ids[term],
                    confidence=_rounded(warnings[n, term]),
                    evidence=next(evidence),
                )
            )
        return labels, signals


class _Asked(NamedTuple):
    """A row whose evidence in a comment is wanted.

    With `below_peak` words count that come within so many log-odds of the strongest token.
    """

    comment: int
    row: int
    below_peak: float | None = None


def _evidence(
    reading: Reading, asked: Sequence[_Asked], *, calibration: Calibration
) -> Iterator[tuple[Evidence, ...]]:
    """Yield the words that carry each row; nothing where its window holds no word."""
    parts: dict[tuple[int, int], tuple[list[Span], list[Span]]] = {}  # by comment and offset
    numbers: dict[tuple[int, int], int] = {}  # of passages, by comment and window
    passages: list[Passage] = []
    questions: list[Question] = []
    stretches: list[Stretch] = []
    for comment, row, below_peak in asked:
        window_number = int(reading.strongest[comment, row])
        stretch, window = reading.windows[comment][window_number]
        number = numbers.setdefault((comment, window_number), len(passages))
        if number == len(passages):
            key, text = (comment, stretch.offset), stretch.text.text
            if key not in parts:
                of_words = words(text)
                parts[key] = of_words, clauses(text, of_words)
            passages.append(Passage(window.spans, *parts[key]))
        scores, shift = window.evidence[row], calibration.evidence_shift
        if below_peak is not None and len(scores):
            shift = max(shift, float(scores.max()) - below_peak)
        questions.append(Question(number, scores, shift))
        stretches.append(stretch)
    runs = best_runs(passages, questions, clause_cost=calibration.clause_cost)
    for (comment, *_), stretch, run in zip(asked, stretches, runs, strict=True):
        if run is None:
            yield ()
            continue
        start, end = (stretch.offset + place for place in stretch.text.original_span(*run))
        yield (Evidence(start=start, end=end, text=reading.comments[comment].text[start:end]),)


def _rounded(probability: float) -> float:
    return round(float(probability), DECIMALS)


def _with_untrained(untrained: Sequence[str], *, taxonomy: Taxonomy, engine: Engine) -> RowTable:
    """Return the rows with those of untrained labels and signals: the shared parts alone."""
    rows = engine.rows
    signals = {f"signal:{term.id}": term for term in taxonomy.signals.values()}
    terms = [taxonomy.labels.get(key) or signals[key] for key in untrained]
    encoded = engine.describe([term.described for term in terms])
    kinds = [KINDS.index("signal" if key in signals else "label") for key in untrained]
    queries = np.stack([rows.query_of(vector) for vector in encoded])
    return replace(
        rows,
        ids=(*rows.ids, *untrained),
        queries=np.concatenate([rows.queries, queries]),
        own=np.concatenate([rows.own, rows.shared[kinds]]),
        bias=np.concatenate([rows.bias, rows.shared_bias[kinds]]),
    )
