"""What a model must beat: a linear SVM on TF-IDF features, trained on the same data.

Words and word pairs, and characters within words (Joachims 1998 for SVMs on text). One classifier
for each label, for each set of labels that coarse data knows, for each signal, one for sentiment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from sklearn.svm import LinearSVC

from model.records import SENTIMENTS, Comment, LabelScore, Prediction, SignalScore
from model.taxonomy import Taxonomy
from model.text import clean
from training.corpus import Example

Group = tuple[str, ...]
Truth = Callable[[Example], bool | None]
_CONFIDENCE = 1.0  # an SVM's margin is no probability; it decides, and that is all it says


class TfidfScorer:
    """Fit on labelled comments, then classify as the other scorers do."""

    def __init__(self, *, taxonomy: Taxonomy, seed: int = 13) -> None:
        self._taxonomy = taxonomy
        self._seed = seed
        self._features = FeatureUnion(
            [
                ("words", TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)),
                (
                    "characters",
                    TfidfVectorizer(
                        analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=3
                    ),
                ),
            ]
        )
        self._groups: dict[Group, Any] = {}
        self._signals: dict[str, Any] = {}
        self._sentiment: Any = None

    def fit(self, examples: Sequence[Example]) -> TfidfScorer:
        """Learn from all that the examples know; returns itself."""
        rows = self._features.fit_transform([clean(e.text).text for e in examples])
        groups: set[Group] = {(label,) for label in self._taxonomy.labels}
        groups |= {group for example in examples for group in example.judged}
        for group in sorted(groups):
            self._groups[group] = self._fit(rows, examples, partial(_present, group=group))
        for signal in self._taxonomy.signals:
            self._signals[signal] = self._fit(rows, examples, partial(_warned, signal=signal))
        moods = [(i, SENTIMENTS.index(e.sentiment)) for i, e in enumerate(examples) if e.sentiment]
        if len({mood for _, mood in moods}) > 1:
            known = rows[[i for i, _ in moods]]
            self._sentiment = self._machine().fit(known, [mood for _, mood in moods])
        return self

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment; labels take its sentiment and have no evidence."""
        rows = self._features.transform([clean(comment.text).text for comment in comments])
        found = {
            label: self._decide(self._groups.get((label,)), rows) for label in self._taxonomy.labels
        }
        warned = {signal: self._decide(m, rows) for signal, m in self._signals.items()}
        moods = np.ones(len(comments), dtype=int)
        if self._sentiment is not None:
            moods = self._sentiment.predict(rows)
        return [
            Prediction(
                language=comment.language or "und",
                sentiment=SENTIMENTS[mood],
                confidence=_CONFIDENCE,
                labels=tuple(
                    LabelScore(
                        label=label,
                        area=self._taxonomy.labels[label].area,
                        sentiment=SENTIMENTS[mood],
                        confidence=_CONFIDENCE,
                        sentiment_confidence=_CONFIDENCE,
                    )
                    for label, said in found.items()
                    if said[i]
                ),
                signals=tuple(
                    SignalScore(signal=signal, confidence=_CONFIDENCE)
                    for signal, said in warned.items()
                    if said[i]
                ),
            )
            for i, (comment, mood) in enumerate(zip(comments, moods, strict=True))
        ]

    def groups(self, comments: Sequence[Comment]) -> dict[Group, npt.NDArray[np.bool_]]:
        """Return for each set of labels that was learnt which comments speak of one of them."""
        rows = self._features.transform([clean(comment.text).text for comment in comments])
        return {group: self._decide(machine, rows) for group, machine in self._groups.items()}

    def _machine(self) -> Any:
        return LinearSVC(C=0.5, class_weight="balanced", random_state=self._seed)

    def _fit(self, rows: Any, examples: Sequence[Example], truth: Truth) -> Any:
        known = [(i, said) for i, e in enumerate(examples) if (said := truth(e)) is not None]
        targets = [said for _, said in known]
        if len(set(targets)) < 2:
            return None
        return self._machine().fit(rows[[i for i, _ in known]], targets)

    def _decide(self, machine: Any, rows: Any) -> npt.NDArray[np.bool_]:
        if machine is None:
            return np.zeros(rows.shape[0], dtype=bool)
        return np.asarray(machine.predict(rows), dtype=bool)


def _present(example: Example, *, group: Group) -> bool | None:
    """Tell whether a label of the group is present; None where the example does not know."""
    if group in example.judged:
        return example.judged[group]
    if any(label in example.labels for label in group):
        return True
    return False if all(label in example.absent for label in group) else None


def _warned(example: Example, *, signal: str) -> bool | None:
    return None if example.signals is None else signal in example.signals
