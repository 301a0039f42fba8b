"""The HTTP application, put together: everything is passed in, nothing happens at import."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request, Response, Security
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from serving.access import Access
from serving.api.classify import classify_router, request_schemas
from serving.api.health import health_router, metrics_router
from serving.api.taxonomy import taxonomy_router
from serving.inference import Inference
from serving.metrics import Metrics
from serving.observing import Observing
from serving.problems import Problem
from serving.reloading import Reloading
from serving.service import Service
from serving.settings import Settings

DESCRIPTION = (
    "What customer comments are about, how the customer feels, what must not wait, "
    "and which team has to act. Every error has the form "
    '`{"error": {"code", "message", "details"}}`.'
)
DOCS_FILES = "/docs-files"
# Named by hand, for a route that answers in plain text refuses in JSON all the same.
_REFUSAL = {
    "description": "The key is missing or unknown",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorOut"}}},
}
# The framework's own answers in our words; anything else keeps the phrase of its status.
_FRAMEWORK = {
    404: ("not_found", "there is nothing at this path; /docs lists what there is"),
    405: (
        "method_not_allowed",
        "this path does not take this method; the header Allow lists those it does",
    ),
}


class _Api(FastAPI):
    """An application that also describes the bodies that it reads by hand."""

    def openapi(self) -> dict[str, Any]:
        """Return the description; made when first asked for: a start should not wait for it."""
        if self.openapi_schema is None:
            super().openapi()["components"]["schemas"].update(request_schemas())
        return super().openapi()


def create_app(
    service: Service, settings: Settings, *, reloading: Reloading | None = None
) -> FastAPI:
    """Return the application that answers with `service` within the limits of `settings`.

    With `reloading` another service may take its place.
    """
    metrics = Metrics()
    inference = Inference(
        service,
        threads=settings.threads,
        limit=settings.max_queue,
        deadline=settings.deadline_seconds,
        metrics=metrics,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await inference.open()
        watch = asyncio.create_task(reloading.watch(inference, metrics)) if reloading else None
        yield
        if watch:
            watch.cancel()
        await inference.close()

    app = _Api(
        title="Echolot",
        version="1",
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(Observing, metrics=metrics)
    app.add_exception_handler(Problem, _answer_problem)
    app.add_exception_handler(HTTPException, _answer_framework)
    locked: dict[str, Any] = {}
    if settings.api_keys:
        locked = {
            "dependencies": [Security(Access(settings.api_keys))],
            "responses": {401: _REFUSAL},
        }
    app.include_router(classify_router(inference, metrics, settings), **locked)
    app.include_router(taxonomy_router(inference), **locked)
    app.include_router(metrics_router(metrics), **locked)
    app.include_router(health_router(inference))
    _show_docs(app)
    return app


def _show_docs(app: FastAPI) -> None:
    """Show the API at /docs with files of our own: the page asks no other server for anything."""
    static = Path(fastapi_offline.__file__).parent / "static"
    app.mount(DOCS_FILES, StaticFiles(directory=static))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=str(app.openapi_url),
            title=app.title,
            swagger_js_url=f"{DOCS_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{DOCS_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{DOCS_FILES}/favicon.png",
            # Else the page sends the address of the description to a validator on the net.
            swagger_ui_parameters={"validatorUrl": None},
        )


async def _answer_problem(_: Request, problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    return problem.response()


async def _answer_framework(_: Request, problem: Exception) -> Response:
    if not isinstance(problem, HTTPException):
        raise problem
    code, message = _FRAMEWORK.get(problem.status_code, ("http_error", str(problem.detail)))
    return Problem(problem.status_code, code, message, headers=problem.headers).response()
