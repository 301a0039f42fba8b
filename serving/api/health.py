"""`GET /healthz`, `/readyz` and `/metrics`: for whoever runs the service."""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from serving.inference import Inference
from serving.metrics import Metrics
from serving.schemas import ErrorOut, HealthOut
from serving.strict_json import write_json

_OK = write_json({"status": "ok"})


def health_router(inference: Inference) -> APIRouter:
    """Return the two routes that are open to everyone."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", summary="Is the process alive?", response_model=HealthOut)
    async def healthz() -> Response:
        """Answer as long as the process can."""
        return Response(_OK, media_type="application/json")

    @router.get(
        "/readyz",
        summary="Is the service ready?",
        response_model=HealthOut,
        responses={503: {"model": ErrorOut, "description": "Starting, or shutting down"}},
    )
    async def readyz() -> Response:
        """Answer once the model has answered, until the service shuts down."""
        inference.check_ready()
        return Response(_OK, media_type="application/json")

    return router


def metrics_router(metrics: Metrics) -> APIRouter:
    """Return the route that Prometheus reads; it needs a key where keys are set."""
    router = APIRouter(tags=["operation"])

    @router.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def show_metrics() -> Response:
        """Return counts and durations; never a word of a comment."""
        return Response(metrics.page(), media_type=CONTENT_TYPE_LATEST)

    return router
