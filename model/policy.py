"""Which answers a person should look at: for one model, one set of rules, and one risk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from model.certainty import Certainty
from model.certificate import Certificate, promised_certainty
from model.records import Comment, Prediction, Route
from model.review import review_reasons
from model.routing import Router
from model.taxonomy import Taxonomy

UNSURE = "uncertain_route"
_BEYOND_ALL = 2.0  # no route is that sure: where nothing can be promised, all are flagged


@dataclass(frozen=True, slots=True)
class ReviewPolicy:
    """The reasons of each answer: what `review_reasons` finds, and routes that are too unsure.

    `least` is the certainty that a route needs to go without a look; None where the model was never
    certified for these labels: then certainty is no reason, and nothing is promised.
    """

    languages: Collection[str]
    certainty: Certainty | None = None
    least: float | None = None

    @classmethod
    def load(
        cls,
        certificate: Certificate | None,
        *,
        router: Router,
        taxonomy: Taxonomy,
        languages: Collection[str],
        risk: float,
    ) -> ReviewPolicy:
        """Return the policy that keeps unflagged routes wrong at most as often as `risk`."""
        if certificate is None or not certificate.fits(taxonomy):
            return cls(languages)
        least = promised_certainty(
            certificate, router=router, taxonomy=taxonomy, languages=languages, risk=risk
        )
        return cls(
            languages,
            Certainty(router, taxonomy=taxonomy),
            _BEYOND_ALL if least is None else least,
        )

    def reasons(
        self,
        predictions: Sequence[Prediction],
        comments: Sequence[Comment],
        routes: Sequence[Route],
    ) -> list[tuple[str, ...]]:
        """Return why each answer needs a look, nothing where it does not."""
        found = [
            review_reasons(prediction, comment, good_languages=self.languages)
            for prediction, comment in zip(predictions, comments, strict=True)
        ]
        if self.certainty is None or self.least is None:
            return found
        certainties = self.certainty.of(predictions, comments, routes)
        return [
            (*reasons, UNSURE) if certainty < self.least else reasons
            for reasons, certainty in zip(found, certainties, strict=True)
        ]
