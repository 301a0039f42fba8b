"""What surrounds every request: an id, a line in the log, a count, and never a traceback."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from model.records import Result
from serving.logs import places
from serving.metrics import Metrics
from serving.problems import Problem

log = logging.getLogger("echolot.requests")
# What a client may set as an id: nothing that could break a log or a header.
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True, kw_only=True)
class Trace:
    """What is known of one request in the end; endpoints fill in their part."""

    request_id: str
    key: str | None = None
    model: str | None = None
    comments: int = 0
    errors: int = 0
    languages: Counter[str] = field(default_factory=Counter)

    def note(self, model: str, results: Iterable[Result]) -> None:
        """Keep the model that answered; count comments, languages and errors."""
        self.model = model
        for result in results:
            self.comments += 1
            if result.prediction is None:
                self.errors += 1
            else:
                self.languages[result.prediction.language] += 1


def trace_of(request: Request) -> Trace:
    """Return the trace of a request."""
    trace: Trace = request.scope["state"]["trace"]
    return trace


class Observing:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; whatever happens there, the client gets an answer in the one shape."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace = Trace(request_id=_request_id(scope))
        scope.setdefault("state", {})["trace"] = trace
        started = time.perf_counter()
        status = 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = trace.request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception as problem:
            where = places(problem.__traceback__)
            fields = {"request_id": trace.request_id, "exception": type(problem).__name__}
            log.error("failed", extra={"fields": {**fields, "places": where}})
            failure = Problem(500, "internal", "the service failed; its log tells where")
            await failure.response()(scope, receive, send_with_id)
        finally:
            self._note(scope, trace, status=status, seconds=time.perf_counter() - started)

    def _note(self, scope: Scope, trace: Trace, *, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        # The template, not the path: a path may hold anything, and every path would be a series.
        route = getattr(scope.get("route"), "path", "other")
        self._metrics.count_request(method=method, route=route, status=status, seconds=seconds)
        level = logging.DEBUG if route in {"/healthz", "/readyz", "/metrics"} else logging.INFO
        fields = {
            "request_id": trace.request_id,
            "method": method,
            "route": route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "key": trace.key,
            "comments": trace.comments,
            "errors": trace.errors,
            "languages": dict(trace.languages),
            "model": trace.model,
        }
        log.log(level, "request", extra={"fields": fields})


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex
