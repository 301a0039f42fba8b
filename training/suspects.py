"""Labels that are likely wrong: where annotation and a prediction by others' annotations disagree.

Each comment is judged by classifiers that were trained without it (five folds; logistic regression
on TF-IDF features and on the vectors of the pretrained encoder). A label that is missing although
they are sure of it, or there although they see nothing of it, is suspected, the most surprising
first (confident learning: Northcutt et al. 2021, arXiv:1911.00068). A suspicion is to be read, not
to be believed: the classifiers err more often than careful annotators do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from model.taxonomy import Taxonomy
from model.text import clean
from training.corpus import Example

Vectors = npt.NDArray[np.float32]
FOLDS = 5
MISSING, NEEDLESS = 0.75, 0.05  # probabilities from which a missing label, below which a given one
_VECTOR_SCALE = 3.0  # a vector has length 1, as has a row of TF-IDF; it says more


@dataclass(frozen=True, slots=True)
class Suspect:
    """A doubtful decision: `example` is a position, `present` what its annotation says."""

    example: int
    label: str
    present: bool
    probability: float


def suspects(
    examples: Sequence[Example], vectors: Vectors, *, taxonomy: Taxonomy, seed: int = 13
) -> list[Suspect]:
    """Return the doubtful labels and signals, the most surprising first.

    `vectors` [examples, width] have length 1. Labels with too few cases for the folds are left out.
    """
    rows = _features(examples, vectors)
    found: list[Suspect] = []
    for label in taxonomy.labels:
        known = [n for n, e in enumerate(examples) if label in e.labels or label in e.absent]
        truth = np.array([label in examples[n].labels for n in known])
        found += _doubts(rows, known, truth, label=label, seed=seed)
    for signal in taxonomy.signals:
        known = [n for n, e in enumerate(examples) if e.signals is not None]
        truth = np.array([signal in (examples[n].signals or ()) for n in known])
        found += _doubts(rows, known, truth, label=f"signal:{signal}", seed=seed)
    return sorted(found, key=lambda s: s.probability if s.present else 1 - s.probability)


def _features(examples: Sequence[Example], vectors: Vectors) -> csr_matrix:
    texts = [clean(example.text).text for example in examples]
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=4)
    parts = [words.fit_transform(texts), letters.fit_transform(texts)]
    return hstack([*parts, csr_matrix(vectors * _VECTOR_SCALE)]).tocsr()


def _doubts(
    rows: csr_matrix, known: list[int], truth: npt.NDArray[np.bool_], *, label: str, seed: int
) -> list[Suspect]:
    if min(truth.sum(), (~truth).sum()) < FOLDS:
        return []
    machine = LogisticRegression(C=4.0, solver="liblinear")
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    said = cross_val_predict(machine, rows[known], truth, cv=folds, method="predict_proba")[:, 1]
    doubtful = np.where(truth, said < NEEDLESS, said > MISSING)
    return [
        Suspect(known[n], label, bool(truth[n]), float(said[n])) for n in np.flatnonzero(doubtful)
    ]
