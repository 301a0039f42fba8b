"""Errors of a request as a whole, in the one shape that every error has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from serving.strict_json import write_json

CLIENT_LEFT = 499  # nginx's number: a status that nobody receives


class Problem(Exception):
    """An answer that is an error: HTTP status, code for programs, message for people."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = dict(details or {})
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the answer in the one shape."""
        error = {"code": self.code, "message": self.message, "details": self.details}
        return Response(
            write_json({"error": error}),
            status_code=self.status,
            headers=self.headers,
            media_type="application/json",
        )


def client_left(before: str) -> Problem:
    """Return the problem that nobody hears of; it stands in log and metrics."""
    return Problem(CLIENT_LEFT, "disconnected", f"the client left before {before}")
