"""What can be promised of routes: judged comments without their texts, and the test over them.

A certificate holds, for comments that were used for nothing else, what the model believed and said,
and what is right. With a company's own rules it tells from which certainty on its routes can go
without a look: learn then test (Angelopoulos et al. 2021, arXiv:2110.01052), by a fixed sequence of
shares of the surest comments and the exact binomial bound.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.certainty import Certainty
from model.errors import ArtifactError
from model.records import (
    SENTIMENTS,
    Beliefs,
    Comment,
    LabelScore,
    Prediction,
    SignalScore,
)
from model.review import review_reasons
from model.routing import Router
from model.taxonomy import Taxonomy

CERTIFICATE = "certificate.npz"
CONFIDENCE = 0.9  # with which a promise is kept
FIRST_SHARE = 0.2  # of the surest comments: where the sequence of tests begins
STEP = 0.05
_NO_SCORE = -1
_NOTHING = 1e-4
# Arrays by their axes: N comments, L labels, S signals.
_AXES = {
    "label_ids": "L",
    "signal_ids": "S",
    "languages": "N",
    "scores": "N",
    "labels": "NL3",
    "signals": "NS",
    "feeling": "N3",
    "said_labels": "NL",
    "said_signals": "NS",
    "said_feeling": "N",
    "right_labels": "NL",
    "right_signals": "NS",
    "right_feeling": "N",
}
Array = npt.NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class Case:
    """One judged comment, without its text."""

    comment: Comment
    said: Prediction
    right: Prediction


@dataclass(frozen=True, slots=True)
class Certificate:
    """The arrays of `certificate.npz`; of labels 0 is absent, 1 to 3 are `SENTIMENTS`."""

    arrays: dict[str, Array]

    @classmethod
    def of(cls, cases: Sequence[Case], *, taxonomy: Taxonomy) -> Certificate:
        """Return the certificate of cases that are known in full; those without words are out."""
        worded = [(case, case.said.beliefs) for case in cases if case.said.beliefs is not None]
        labels, signals = list(taxonomy.labels), list(taxonomy.signals)
        arrays: dict[str, Array] = {
            "label_ids": np.array(labels, np.str_),
            "signal_ids": np.array(signals, np.str_),
            "languages": np.array([case.said.language for case, _ in worded], np.str_),
            "scores": np.array(
                [
                    _NO_SCORE if case.comment.score is None else case.comment.score
                    for case, _ in worded
                ],
                np.int8,
            ),
            "labels": _small([beliefs.labels for _, beliefs in worded]),
            "signals": _small([beliefs.signals for _, beliefs in worded]),
            "feeling": _small([beliefs.feeling for _, beliefs in worded]),
        }
        for side in ("said", "right"):
            judged: list[Prediction] = [getattr(case, side) for case, _ in worded]
            arrays[f"{side}_labels"] = np.array([_moods(p, labels) for p in judged], np.int8)
            arrays[f"{side}_signals"] = np.array([_warned(p, signals) for p in judged], bool)
            arrays[f"{side}_feeling"] = np.array(
                [SENTIMENTS.index(p.sentiment) for p in judged], np.int8
            )
        return cls(arrays)

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Read a certificate. Raises `ArtifactError` for a file that is none."""
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: np.asarray(stored[name]) for name in _AXES}
        except Exception:  # numpy, zipfile and zlib raise a dozen classes for a file that is none
            raise ArtifactError(
                f"{path}: cannot be read; fetch or certify the model again"
            ) from None
        sizes = {
            "N": len(arrays["languages"]),
            "L": len(arrays["label_ids"]),
            "S": len(arrays["signal_ids"]),
            "3": len(SENTIMENTS),
        }
        for name, axes in _AXES.items():
            if arrays[name].shape != tuple(sizes[axis] for axis in axes):
                raise ArtifactError(
                    f"{path}: {name} has the shape {arrays[name].shape}, which does not fit; "
                    "fetch or certify the model again"
                )
        return cls(arrays)

    def write(self, path: Path) -> None:
        """Write the arrays, compressed."""
        with path.open("wb") as file:
            np.savez_compressed(file, **{name: self.arrays[name] for name in _AXES})  # type: ignore[arg-type]

    def fits(self, taxonomy: Taxonomy) -> bool:
        """Tell whether it was judged by just these labels and signals."""
        labels, signals = self.arrays["label_ids"].tolist(), self.arrays["signal_ids"].tolist()
        return bool(labels == [*taxonomy.labels] and signals == [*taxonomy.signals])

    def cases(self, taxonomy: Taxonomy) -> list[Case]:
        """Return the judged comments."""
        a = self.arrays
        return [
            Case(
                comment=Comment(
                    id=str(n),
                    text="",
                    language=str(a["languages"][n]),
                    score=None if a["scores"][n] == _NO_SCORE else int(a["scores"][n]),
                ),
                said=self._prediction("said", n, taxonomy),
                right=self._prediction("right", n, taxonomy),
            )
            for n in range(len(a["languages"]))
        ]

    def _prediction(self, side: str, n: int, taxonomy: Taxonomy) -> Prediction:
        a = self.arrays
        labels = zip(taxonomy.labels.values(), a[f"{side}_labels"][n].tolist(), strict=True)
        signals = zip(taxonomy.signals, a[f"{side}_signals"][n].tolist(), strict=True)
        return Prediction(
            language=str(a["languages"][n]),
            sentiment=SENTIMENTS[int(a[f"{side}_feeling"][n])],
            confidence=1.0,
            labels=tuple(
                LabelScore(
                    label=term.id,
                    area=term.area,
                    sentiment=SENTIMENTS[mood - 1],
                    confidence=1.0,
                    sentiment_confidence=1.0,
                )
                for term, mood in labels
                if mood
            ),
            signals=tuple(SignalScore(signal=s, confidence=1.0) for s, warned in signals if warned),
            beliefs=Beliefs(
                labels=np.asarray(a["labels"][n], np.float32),
                signals=np.asarray(a["signals"][n], np.float32),
                feeling=np.asarray(a["feeling"][n], np.float32),
            ),
        )


def judged_routes(
    cases: Sequence[Case], *, router: Router, taxonomy: Taxonomy
) -> tuple[list[float], list[bool]]:
    """Return the certainty of each case's route, and whether its team and priority are right."""
    routes = [router.route(case.said, case.comment) for case in cases]
    wanted = [router.route(case.right, case.comment) for case in cases]
    certainties = Certainty(router, taxonomy=taxonomy).of(
        [case.said for case in cases], [case.comment for case in cases], routes
    )
    right = [
        (found.team, found.priority) == (true.team, true.priority)
        for found, true in zip(routes, wanted, strict=True)
    ]
    return certainties, right


def promised_certainty(
    certificate: Certificate,
    *,
    router: Router,
    taxonomy: Taxonomy,
    languages: Collection[str],
    risk: float,
) -> float | None:
    """Return from which certainty on routes are wrong at most as often as `risk`.

    It holds with a probability of `CONFIDENCE`, for comments like those that were judged. None
    where no certainty is enough, or where the certificate is of other labels.
    """
    if not certificate.fits(taxonomy):
        return None
    cases = [
        case
        for case in certificate.cases(taxonomy)
        if not review_reasons(case.said, case.comment, good_languages=languages)
    ]
    return learn_then_test(*judged_routes(cases, router=router, taxonomy=taxonomy), risk=risk)


def learn_then_test(
    certainties: Sequence[float], right: Sequence[bool], *, risk: float
) -> float | None:
    """Return the lowest certainty that passes; None where the first test fails.

    The surest 20 % are tested, then 25 % and so on, until a test fails: each asks whether so few
    mistakes would be an accident if the risk were higher. Which comments are surest does not hang
    on what is right, and tests in a fixed order need no correction.
    """
    order = np.argsort(-np.asarray(certainties, dtype=np.float64), kind="stable")
    passed = None
    for share in np.arange(FIRST_SHARE, 1 + STEP / 2, STEP):
        count = round(float(share) * len(order))
        if count == 0:
            continue
        threshold = certainties[order[count - 1]]
        taken = [
            ok for certainty, ok in zip(certainties, right, strict=True) if certainty >= threshold
        ]
        if binomial_tail(len(taken) - sum(taken), len(taken), risk) > 1 - CONFIDENCE:
            break
        passed = float(threshold)
    return passed


def binomial_tail(most: int, count: int, chance: float) -> float:
    """Return the probability of at most so many hits in `count` tries."""
    if most >= count:
        return 1.0
    whole = math.lgamma(count + 1)  # in logarithms: the factors alone are too large for floats
    return math.fsum(
        math.exp(
            whole
            - math.lgamma(hits + 1)
            - math.lgamma(count - hits + 1)
            + hits * math.log(chance)
            + (count - hits) * math.log1p(-chance)
        )
        for hits in range(most + 1)
    )


def _small(probabilities: Sequence[npt.NDArray[np.float32]]) -> Array:
    """Return them stacked, in half precision, what is next to nothing as nothing."""
    stacked = np.array(probabilities, np.float16)
    stacked[stacked < _NOTHING] = 0
    return stacked


def _moods(prediction: Prediction, labels: Sequence[str]) -> list[int]:
    found = {label.label: SENTIMENTS.index(label.sentiment) + 1 for label in prediction.labels}
    return [found.get(label, 0) for label in labels]


def _warned(prediction: Prediction, signals: Sequence[str]) -> list[bool]:
    found = {signal.signal for signal in prediction.signals}
    return [signal in found for signal in signals]
