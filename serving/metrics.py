"""What Prometheus may know: counts, durations and ids of the vocabulary, never a word of a comment.

Each application has a registry of its own, so that two of them in one process do not mix. Workers
leave their numbers in files of one folder, and each of them shows the sum.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from model.records import Result
from serving.caching import Counts

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's name for where workers leave their numbers
# A label value per tag that clients think of would grow without bound.
LANGUAGES = frozenset({"de", "en", "und"})
# Seconds; from one comment on a fast core to a full list on a slow one.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64)  # comments


class Metrics:
    """The counters of one application."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._requests = Counter(
            "echolot_requests", "Requests", ["method", "route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "echolot_request_seconds",
            "Duration of requests",
            ["route"],
            buckets=BUCKETS,
            registry=registry,
        )
        self._comments = Counter(
            "echolot_comments", "Comments", ["language", "outcome"], registry=registry
        )
        self._labels = Counter(
            "echolot_labels", "Labels found", ["label", "sentiment"], registry=registry
        )
        self._signals = Counter("echolot_signals", "Signals found", ["signal"], registry=registry)
        self._routes = Counter(
            "echolot_routes", "Comments by team", ["team", "priority"], registry=registry
        )
        self._reviews = Counter(
            "echolot_reviews", "Answers that need a look", ["reason"], registry=registry
        )
        self._keys = Counter(
            "echolot_key_comments", "Comments by key", ["key", "outcome"], registry=registry
        )
        self.queue = Gauge(
            "echolot_queue_comments",
            "Comments taken in and not answered yet",
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._batches = Histogram(
            "echolot_batch_comments",
            "Comments that the model read together",
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self._cached = Counter(
            "echolot_cache_comments",
            "Short comments whose answer was kept, or was not",
            ["outcome"],
            registry=registry,
        )
        self._reloads = Counter(
            "echolot_reloads",
            "Models that were to replace the one in use, by how that went",
            ["outcome"],
            registry=registry,
        )
        self._model = Gauge(
            "echolot_model_info",
            "Model in use",
            ["model", "taxonomy"],
            multiprocess_mode="livemax",
            registry=registry,
        )
        self._shown: tuple[str, str] | None = None

    def show_model(self, model: str, *, taxonomy: str) -> None:
        """Say which model answers from now on."""
        if self._shown and FOLDER in os.environ:
            # In the files of workers a series stays, so it has to say that it is over.
            self._model.labels(*self._shown).set(0)
        elif self._shown:
            self._model.remove(*self._shown)
        self._shown = model, taxonomy
        self._model.labels(model, taxonomy).set(1)

    def count_reload(self, outcome: str) -> None:
        """Count a model that was `loaded` in place of another, or `failed` to."""
        self._reloads.labels(outcome).inc()

    def count_batch(self, comments: int, *, cached: Counts | None) -> None:
        """Count one batch of so many comments, and what the cache counted since the last one."""
        self._batches.observe(comments)
        if cached:
            self._cached.labels("hit").inc(cached.hits)
            self._cached.labels("miss").inc(cached.misses)

    def count_request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; `route` is the template of the path, never the path itself."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_results(self, results: Iterable[Result]) -> None:
        """Count comments, labels, signals, teams and reviews."""
        for result in results:
            if result.prediction is None or result.route is None:
                self._comments.labels("und", "error").inc()
                continue
            said = result.prediction
            language = said.language if said.language in LANGUAGES else "other"
            self._comments.labels(language, "answered").inc()
            for label in said.labels:
                self._labels.labels(label.label, label.sentiment).inc()
            for signal in said.signals:
                self._signals.labels(signal.signal).inc()
            self._routes.labels(result.route.team, result.route.priority).inc()
            for reason in result.review_reasons:
                self._reviews.labels(reason).inc()

    def count_for_key(self, key: str | None, comments: int, *, outcome: str) -> None:
        """Count comments of the key with this name: `answered`, or `limited`."""
        if key is not None:
            self._keys.labels(key, outcome).inc(comments)

    def page(self) -> bytes:
        """Return the page that Prometheus reads."""
        registry = self.registry
        if FOLDER in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def forget_process(pid: int) -> None:
    """Take a worker that has ended out of what only the living count for."""
    mark_process_dead(pid)  # type: ignore[no-untyped-call]
