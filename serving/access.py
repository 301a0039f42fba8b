"""Who may call: a bearer key, where keys are set."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serving.keys import ApiKey, find_key
from serving.observing import trace_of
from serving.problems import Problem

_BEARER = HTTPBearer(auto_error=False, description="A key made by `echolot keys new`.")


class Access:
    """A dependency that lets a request pass if it brings one of the keys."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = tuple(keys)

    async def __call__(
        self,
        request: Request,
        presented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)],
    ) -> None:
        """Note whose key it is; raises `Problem` (401) for a missing or unknown one."""
        key = find_key(presented.credentials, self._keys) if presented else None
        if key is None:
            raise Problem(
                401,
                "unauthorized",
                "this needs a key: Authorization: Bearer KEY",
                headers={"WWW-Authenticate": "Bearer"},
            )
        trace_of(request).key = key.name
