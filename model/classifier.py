"""The central noun and verb: `Classifier.load(path).classify(comments)`.

It cleans texts, lets the engine read them, turns logits into calibrated probabilities, decides by
the thresholds of the manifest, and finds the words that carry each decision. All that belongs to a
label is in the artefact and the taxonomy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.artifact import COMMENT, KINDS, Artifact, RowTable, read_artifact
from model.calibration import Calibration, presence_log_odds, signal_log_odds
from model.clauses import clauses
from model.engine import Engine, Window
from model.evidence import MARGIN, Span, WordGrid
from model.language import detect_language
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
from model.text import CleanText, calm, clean, words

Array = npt.NDArray[np.float32]
Places = npt.NDArray[np.int64]
MAX_CHARACTERS = 10_000  # a longer comment is read at its head and its tail
WORD_CHARACTERS = 60  # how far a head or tail is shortened so as not to cut a word
CHUNK_CHARACTERS = 250_000  # read at a time: about 1,000 comments, and some 20 MB of evidence
# No data marks the words of a signal, so their log-odds know no zero: the peak is the measure.
SIGNAL_PEAK = 2.5
DECIMALS = 4  # of a confidence: more would only show rounding


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A part of a comment that is read: the whole, or head and tail of an over-long one."""

    offset: int
    text: CleanText


@dataclass(frozen=True, slots=True)
class _Reading:
    """What the network says of a comment, before any calibration.

    `logits` [R, 4] are those of the window in which a row is strongest, `strongest` [R] says which
    it is; the comment's own row has the mean of all windows. Windows without a token are left out.
    """

    windows: Sequence[tuple[_Stretch, Window]]
    logits: Array
    strongest: Places


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
        ids = engine.rows.ids
        self._first = np.zeros(len(ids), dtype=np.int64)
        self._comment = ids.index(COMMENT)
        self._labels = np.array([ids.index(label) for label in taxonomy.labels], dtype=np.int64)
        self._signals = np.array(
            [ids.index(f"signal:{signal}") for signal in taxonomy.signals], dtype=np.int64
        )
        chosen = artifact.calibration
        self._label_thresholds = np.array([chosen.label_threshold(x) for x in taxonomy.labels])
        self._signal_thresholds = np.array([chosen.signal_threshold(x) for x in taxonomy.signals])

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
        found: list[Prediction] = []
        for chunk, readings in self._read(comments):
            found += self._judge(chunk, readings)
        return found

    def logits(self, comments: Sequence[Comment]) -> Array:
        """Return raw logits [comments, R, 4], of the strongest window of a row: to calibrate."""
        found = np.zeros((len(comments), len(self._engine.rows.ids), 4), dtype=np.float32)
        place = 0
        for _, readings in self._read(comments):
            found[place : place + len(readings)] = [reading.logits for reading in readings]
            place += len(readings)
        return found

    def probabilities(self, comments: Sequence[Comment]) -> Array:
        """Return the calibrated probability of each label [comments, labels], in their order."""
        return self._calibration.presence(self.logits(comments)[:, self._labels])

    def _read(
        self, comments: Sequence[Comment]
    ) -> Iterator[tuple[Sequence[Comment], list[_Reading]]]:
        """Yield parts of the list with a reading per comment: parts, to bound memory."""
        for chunk in _chunks(comments):
            parts = [self._stretches(comment.text) for comment in chunk]
            flat = [stretch for stretches in parts for stretch in stretches]
            answers = iter(self._engine.windows([calm(stretch.text.text) for stretch in flat]))
            yield (
                chunk,
                [
                    self._reading([(s, window) for s in stretches for window in next(answers)])
                    for stretches in parts
                ],
            )

    def _reading(self, windows: list[tuple[_Stretch, Window]]) -> _Reading:
        read = [(stretch, window) for stretch, window in windows if len(window.spans)]
        if len(windows) == 1:
            return _Reading(read, windows[0][1].logits, self._first)
        logits = np.stack([window.logits for _, window in read or windows])
        strength = presence_log_odds(logits)
        strength[:, self._signals] = signal_log_odds(logits[:, self._signals])
        # The first of windows that are alike: rounding does not choose between them.
        strongest = (strength >= strength.max(0) - MARGIN).argmax(0)
        chosen = logits[strongest, np.arange(logits.shape[1])]
        chosen[self._comment] = logits[:, self._comment].mean(0)
        return _Reading(read, chosen, strongest)

    def _stretches(self, text: str) -> list[_Stretch]:
        if len(text) <= self._max_characters:
            return [_Stretch(0, clean(text))]
        half = self._max_characters // 2
        head, tail = half, len(text) - half
        before = range(head, max(0, head - WORD_CHARACTERS), -1)
        after = range(tail, min(len(text), tail + WORD_CHARACTERS))
        head = next((place for place in before if text[place].isspace()), head)
        tail = next((place for place in after if text[place].isspace()), tail)
        return [_Stretch(0, clean(text[:head])), _Stretch(tail, clean(text[tail:]))]

    def _judge(
        self, comments: Sequence[Comment], readings: Sequence[_Reading]
    ) -> Iterator[Prediction]:
        """Yield a prediction per comment; probabilities are made of all logits at once."""
        logits = np.stack([reading.logits for reading in readings])
        feelings = self._calibration.feeling(logits[:, self._comment])
        presence = self._calibration.presence(logits[:, self._labels])
        moods = self._calibration.mood(logits[:, self._labels])
        warnings = self._calibration.warning(logits[:, self._signals])
        for n, (comment, reading) in enumerate(zip(comments, readings, strict=True)):
            truncated = len(comment.text) > self._max_characters
            if not reading.windows:
                language = comment.language or "und"
                yield Prediction(
                    language=language, sentiment="neutral", confidence=1.0, truncated=truncated
                )
                continue
            finder = _Finder(comment.text, reading, self._calibration)
            yield Prediction(
                language=comment.language or detect_language(reading.windows[0][0].text.text),
                sentiment=SENTIMENTS[int(feelings[n].argmax())],
                confidence=_rounded(feelings[n].max()),
                labels=self._labels_of(presence[n], moods[n], finder),
                signals=self._signals_of(warnings[n], finder),
                truncated=truncated,
                beliefs=Beliefs(
                    labels=presence[n][:, None] * moods[n],
                    signals=warnings[n],
                    feeling=feelings[n],
                ),
            )

    def _labels_of(self, presence: Array, moods: Array, finder: _Finder) -> tuple[LabelScore, ...]:
        terms = list(self.taxonomy.labels.values())
        found = [
            LabelScore(
                label=terms[place].id,
                area=terms[place].area,
                sentiment=SENTIMENTS[int(moods[place].argmax())],
                confidence=_rounded(presence[place]),
                sentiment_confidence=_rounded(moods[place].max()),
                evidence=finder.evidence(int(self._labels[place])),
                untrained=terms[place].id in self._untrained,
            )
            for place in np.flatnonzero(presence >= self._label_thresholds)
        ]
        return tuple(sorted(found, key=lambda label: -label.confidence))

    def _signals_of(self, warnings: Array, finder: _Finder) -> tuple[SignalScore, ...]:
        signals = list(self.taxonomy.signals)
        found = [
            SignalScore(
                signal=signals[place],
                confidence=_rounded(warnings[place]),
                evidence=finder.evidence(int(self._signals[place]), below_peak=SIGNAL_PEAK),
            )
            for place in np.flatnonzero(warnings >= self._signal_thresholds)
        ]
        return tuple(sorted(found, key=lambda signal: -signal.confidence))


class _Finder:
    """Finds evidence in one comment; what several rows need of a window is made once."""

    def __init__(self, text: str, reading: _Reading, calibration: Calibration) -> None:
        self._text = text
        self._reading = reading
        self._calibration = calibration
        self._parts: dict[int, tuple[list[Span], list[Span]]] = {}  # by offset of a stretch
        self._grids: dict[int, WordGrid] = {}  # by number of a window

    def evidence(self, row: int, *, below_peak: float | None = None) -> tuple[Evidence, ...]:
        """Return the words that carry a row; nothing where its window holds no word.

        With `below_peak` words count that come within so many log-odds of the strongest token.
        """
        number = int(self._reading.strongest[row])
        stretch, window = self._reading.windows[number]
        if number not in self._grids:
            self._grids[number] = self._grid(stretch, window)
        scores, shift = window.evidence[row], self._calibration.evidence_shift
        if below_peak is not None and len(scores):
            shift = max(shift, float(scores.max()) - below_peak)
        run = self._grids[number].best_run(
            scores,
            shift=shift,
            clause_cost=self._calibration.clause_cost,
        )
        if run is None:
            return ()
        start, end = (stretch.offset + place for place in stretch.text.original_span(*run))
        return (Evidence(start=start, end=end, text=self._text[start:end]),)

    def _grid(self, stretch: _Stretch, window: Window) -> WordGrid:
        text = stretch.text.text
        if stretch.offset not in self._parts:
            self._parts[stretch.offset] = words(text), clauses(text)
        of_words, of_clauses = self._parts[stretch.offset]
        return WordGrid(window.spans, words=of_words, clauses=of_clauses)


def _chunks(comments: Sequence[Comment]) -> Iterator[Sequence[Comment]]:
    """Yield parts of the list that have `CHUNK_CHARACTERS` in all, or a single comment."""
    start = size = 0
    for place, comment in enumerate(comments):
        size += len(comment.text)
        if size > CHUNK_CHARACTERS and place > start:
            yield comments[start:place]
            start, size = place, len(comment.text)
    if start < len(comments):
        yield comments[start:]


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
