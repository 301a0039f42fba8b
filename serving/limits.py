"""How many comments a caller may send: a bucket for each key, filled at a steady rate.

A bucket holds a minute's comments. A list needs as many as it is long, or a full bucket if it is
longer than that; what is missing then is owed, so that in the long run the rate is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

from serving.problems import CLIENT_LEFT, Problem

RATE_LIMITED = 429  # Too Many Requests
SECONDS = 60.0  # for which the limit is given
ROUNDING = 1e-6  # comments


@dataclass(slots=True)
class _Bucket:
    comments: float
    filled: float  # when it was, on the clock


class RateLimit:
    """The buckets of one process. Callers are names of keys; None is one without a key."""

    def __init__(self, per_minute: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._full = float(per_minute)
        self._clock = clock
        self._buckets: dict[str | None, _Bucket] = {}

    @contextmanager
    def spent(self, caller: str | None, comments: int) -> Iterator[None]:
        """Take so many; what the service then fails to answer is free.

        Raises `Problem` (429) that tells when so many will be allowed.
        """
        self._check(caller, comments)
        self._bucket(caller).comments -= comments
        try:
            yield
        except Exception as problem:
            # Whoever leaves has had part of it computed.
            if not isinstance(problem, Problem) or problem.status != CLIENT_LEFT:
                bucket = self._bucket(caller)
                bucket.comments = min(self._full, bucket.comments + comments)
            raise

    def _check(self, caller: str | None, comments: int) -> None:
        missing = min(comments, self._full) - self._bucket(caller).comments
        if missing > ROUNDING:
            seconds = ceil(missing * SECONDS / self._full)
            raise Problem(
                RATE_LIMITED,
                "rate_limited",
                f"{self._full:g} comments a minute are allowed; try again in {seconds} seconds",
                details={"rate_limit": int(self._full)},
                headers={"Retry-After": str(seconds)},
            )

    def _bucket(self, caller: str | None) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.setdefault(caller, _Bucket(self._full, now))
        since = now - bucket.filled
        bucket.comments = min(self._full, bucket.comments + since * self._full / SECONDS)
        bucket.filled = now
        return bucket
