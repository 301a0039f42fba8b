"""`POST /v1/classify`: comments in, smart labels, sentiment, signals and routes out."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect

from serving.answers import result_json
from serving.inference import Answer, Inference
from serving.limits import RATE_LIMITED, RateLimit
from serving.metrics import Metrics
from serving.observing import trace_of
from serving.problems import Problem, client_left
from serving.schemas import ClassifyIn, ClassifyOut, ErrorOut
from serving.settings import Settings
from serving.strict_json import read_json, write_json

# Bytes; so small a body is read in about a millisecond, and handing it to a thread would cost more.
SMALL_BODY = 64 * 1024
# Results that are written on the event loop, for the same reason.
WRITE_HERE = 64
_ERRORS: dict[int | str, dict[str, Any]] = {
    413: {"model": ErrorOut, "description": "The body is too large"},
    415: {"model": ErrorOut, "description": "The body is not declared as JSON"},
    422: {"model": ErrorOut, "description": "The body is no list of comments"},
    503: {"model": ErrorOut, "description": "Too much is waiting; try again later"},
}
_LIMITED: dict[int | str, dict[str, Any]] = {
    RATE_LIMITED: {"model": ErrorOut, "description": "The key has sent too many comments"},
}


def classify_router(inference: Inference, metrics: Metrics, settings: Settings) -> APIRouter:
    """Return the route; everything it needs is passed in."""
    router = APIRouter()
    limit = RateLimit(settings.rate_limit) if settings.rate_limit else None

    @router.post(
        "/v1/classify",
        summary="Classify comments",
        tags=["classify"],
        response_model=ClassifyOut,
        responses={**_ERRORS, **(_LIMITED if limit else {})},
        openapi_extra={"requestBody": _request_body(settings)},
    )
    async def classify(request: Request) -> Response:
        """Answer each comment with labels, evidence, sentiment, signals and the team to act.

        A comment that cannot be read gets an `error` of its own and leaves its neighbours alone.
        """
        _check_content(request)
        inference.check_room()
        records = await _records(request, settings)
        key = trace_of(request).key
        try:
            with limit.spent(key, len(records)) if limit else nullcontext():
                answer = await _answer(request, records, inference=inference)
        except Problem as problem:
            if problem.status == RATE_LIMITED:
                metrics.count_for_key(key, len(records), outcome="limited")
            raise
        metrics.count_for_key(key, len(records), outcome="answered")
        metrics.count_results(answer.results)
        trace_of(request).note(answer.service.model, answer.results)
        # A long list is written by a thread: the loop has others to serve.
        if len(answer.results) > WRITE_HERE:
            body = await asyncio.to_thread(_body, answer)
        else:
            body = _body(answer)
        return Response(body, media_type="application/json")

    return router


def _request_body(settings: Settings) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/ClassifyIn"}
    limits = {"properties": {"comments": {"maxItems": settings.max_comments}}}
    return {
        "required": True,
        "content": {"application/json": {"schema": {"allOf": [schema, limits]}}},
    }


def request_schemas() -> dict[str, Any]:
    """Return the schemas of the request for OpenAPI: the framework does not read the body."""
    schema = ClassifyIn.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs"), "ClassifyIn": schema}


def _check_content(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    media, _, parameters = content_type.partition(";")
    charset = parameters.strip().lower().replace('"', "")
    if media.strip().lower() != "application/json" or charset not in {"", "charset=utf-8"}:
        raise Problem(
            415, "unsupported_media_type", "send JSON in UTF-8 as Content-Type: application/json"
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported_media_type", "send the body without Content-Encoding")


async def _records(request: Request, settings: Settings) -> list[Any]:
    body = await _read(request, limit=settings.max_body_bytes)
    try:
        if len(body) > SMALL_BODY:
            value = await asyncio.to_thread(read_json, body)
        else:
            value = read_json(body)
    except ValueError as problem:
        raise Problem(422, "invalid_json", f"the body {problem}") from None
    records = value.get("comments") if isinstance(value, dict) else None
    if not isinstance(records, list):
        raise Problem(
            422,
            "invalid_request",
            'the body must be an object with a list: {"comments": [{"comment": "..."}]}',
        )
    if len(records) > settings.max_comments:
        raise Problem(
            422,
            "too_many_comments",
            f"{len(records)} comments in one request; {settings.max_comments} at most are allowed",
            details={"comments": len(records), "max_comments": settings.max_comments},
        )
    return records


async def _read(request: Request, *, limit: int) -> bytes:
    # Counted as it comes: the length that a client declares may be missing or wrong.
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                break
    except ClientDisconnect:
        raise client_left("the body was whole") from None
    if len(body) > limit:
        raise Problem(
            413,
            "body_too_large",
            f"the body is larger than {limit} bytes; send fewer comments at a time",
            details={"max_body_bytes": limit},
            headers={"Connection": "close"},
        )
    return bytes(body)


async def _answer(request: Request, records: list[Any], *, inference: Inference) -> Answer:
    left = asyncio.create_task(_left(request))
    try:
        return await inference.answer(records, left=left)
    finally:
        left.cancel()


async def _left(request: Request) -> None:
    """Return once the client has closed its connection; the body was read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _body(answer: Answer) -> bytes:
    service = answer.service
    return write_json(
        {
            "model": service.model,
            "taxonomy": service.fingerprint,
            "results": [
                result_json(result, taxonomy=service.taxonomy) for result in answer.results
            ],
        }
    )
