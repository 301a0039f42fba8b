"""The noun of serving: raw records in, `Result`s out, in order; the API and files both use it.

What a comment says comes from the classifier, who has to act from the router; both are passed in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from model.policy import ReviewPolicy
from model.records import Comment, Failure, Prediction, Result, Route
from model.taxonomy import Taxonomy
from serving.caching import PredictionCache
from serving.parsing import comment_id, parse_comment

if TYPE_CHECKING:
    from serving.settings import Settings


class Classifies(Protocol):
    """What the service needs of a classifier; several threads may call `classify` at once."""

    @property
    def name(self) -> str:
        """Return the name of the model."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the taxonomy that its labels belong to."""

    @property
    def languages(self) -> Sequence[str]:
        """Return the languages that it is good at."""

    def classify(self, comments: Sequence[Comment]) -> list[Prediction]:
        """Return one prediction per comment, in the same order.

        Nothing counts but text and language of a comment: answers are kept by these two.
        """


class Routes(Protocol):
    """What the service needs of a router."""

    def route(self, prediction: Prediction, comment: Comment) -> Route:
        """Return who has to act."""


class Service:
    """Answers comments: reads them, classifies, routes, and says which need a look.

    `version` tells one loaded model from another, whatever their names.
    """

    def __init__(
        self,
        classifier: Classifies,
        router: Routes,
        *,
        policy: ReviewPolicy | None = None,
        cache: PredictionCache | None = None,
        version: str = "",
    ) -> None:
        self._classifier = classifier
        self._router = router
        self._policy = policy or ReviewPolicy(classifier.languages)
        self.cache = cache
        self.version = version
        self.model = classifier.name
        self.taxonomy = classifier.taxonomy
        self.fingerprint = classifier.taxonomy.fingerprint()

    def answer(self, records: Sequence[object], *, first: int = 0) -> list[Result]:
        """Return one result per record, in the same order.

        A record is a JSON value; one that is no comment gets a result with an error and leaves its
        neighbours alone. `first` is the position of the first record, the id of one that has none.
        """
        read = self.read(records, first=first)
        judged = iter(self.judge([item for item in read if isinstance(item, Comment)]))
        return [item if isinstance(item, Result) else next(judged) for item in read]

    def read(self, records: Sequence[object], *, first: int = 0) -> list[Comment | Result]:
        """Return the comment of each record, or the result with an error that answers it."""
        found: list[Comment | Result] = []
        for position, record in enumerate(records, start=first):
            comment = parse_comment(record, position=position)
            if isinstance(comment, Failure):
                own_id = comment_id(record, position=position)
                found.append(Result(id=own_id, error=comment))
            else:
                found.append(comment)
        return found

    def judge(self, comments: Sequence[Comment]) -> list[Result]:
        """Return one result per comment, in the same order; several threads may call it at once."""
        with_words = [comment for comment in comments if comment.text.strip()]
        judged = iter(self._judged(with_words, self._predict(with_words)))
        return [next(judged) if c.text.strip() else self._silent(c) for c in comments]

    def _predict(self, comments: Sequence[Comment]) -> list[Prediction]:
        if not comments:
            return []
        if self.cache is None:
            return self._classifier.classify(comments)
        return self.cache.predict(comments, self._classifier.classify)

    def _judged(self, comments: Sequence[Comment], said: Sequence[Prediction]) -> list[Result]:
        predictions = [
            # The client knows better than any guess which language it asked in.
            replace(prediction, language=comment.language)
            if comment.language and prediction.language != comment.language
            else prediction
            for comment, prediction in zip(comments, said, strict=True)
        ]
        routes = [
            self._router.route(prediction, comment)
            for comment, prediction in zip(comments, predictions, strict=True)
        ]
        reasons = self._policy.reasons(predictions, comments, routes)
        return [
            Result(
                id=comment.id,
                segment=comment.segment,
                prediction=prediction,
                route=route,
                needs_review=bool(found),
                review_reasons=found,
            )
            for comment, prediction, route, found in zip(
                comments, predictions, routes, reasons, strict=True
            )
        ]

    def _silent(self, comment: Comment) -> Result:
        # A score without words: nothing to read or to review, but somebody may have to act.
        prediction = Prediction(
            language=comment.language or "und", sentiment="neutral", confidence=1.0
        )
        return Result(
            id=comment.id,
            segment=comment.segment,
            prediction=prediction,
            route=self._router.route(prediction, comment),
        )


def load_service(settings: Settings) -> Service:
    """Load taxonomy, routing and model as the settings say; raises `EcholotError` for a misfit."""
    # The engine and its tokenizer: only whoever answers comments pays for them.
    from model.classifier import Classifier
    from model.registry import resolve, version_of
    from model.routing import Router
    from model.taxonomy import load_taxonomy

    taxonomy = load_taxonomy(settings.taxonomy) if settings.taxonomy else None
    folder = resolve(settings.model, data_dir=settings.data_dir)
    # Before the model: if it is replaced meanwhile, the version is too old and it is loaded again.
    version = version_of(folder)
    classifier = Classifier.load(
        folder,
        taxonomy=taxonomy,
        # As many calls run at once as there are threads to serve; one core for each is enough.
        threads=1,
        max_characters=settings.max_characters,
    )
    router = Router.load(settings.routing, taxonomy=classifier.taxonomy)
    policy = ReviewPolicy.load(
        classifier.certificate,
        router=router,
        taxonomy=classifier.taxonomy,
        languages=classifier.languages,
        risk=settings.review_risk,
    )
    cache = None
    if settings.cache_entries:
        cache = PredictionCache(
            entries=settings.cache_entries, characters=settings.cache_characters
        )
    return Service(classifier, router, policy=policy, cache=cache, version=version)


def wanted_version(settings: Settings) -> str:
    """Return the version that `load_service` would load; raises `ArtifactError` as it does."""
    from model.registry import resolve, version_of

    return version_of(resolve(settings.model, data_dir=settings.data_dir))
