"""Runs the service in a bounded pool of threads, so that the event loop only waits.

A list is cut into slices, and each list has at most as many slices under way as there are threads:
a single comment waits for a slice of a long list, not for the whole of it. The same comment gets
the same answer in any slice, so cutting changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import Gauge

from model.records import Result
from serving.problems import Problem
from serving.service import Service

# Enough to sort by length and fill batches, little enough for others to get a turn (about 0.1 s).
SLICE = 64
RETRY_AFTER_SECONDS = 2


class Inference:
    """The queue before the model: what is in it is finished, what does not fit is refused."""

    def __init__(self, service: Service, *, threads: int, limit: int, depth: Gauge) -> None:
        self._service = service
        self._threads = threads
        self._limit = limit
        self._depth = depth
        self._waiting = 0
        self._pool: ThreadPoolExecutor | None = None

    async def open(self) -> None:
        """Start the threads and answer one comment, so that being ready means having answered."""
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="inference")
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(pool, self._service.answer, [{"comment": "ok"}])
        self._pool = pool

    def check_ready(self) -> ThreadPoolExecutor:
        """Return the threads; raises `Problem` (503) before they start and after they end."""
        if self._pool is None:
            raise Problem(503, "not_ready", "the service is starting or shutting down")
        return self._pool

    def check_room(self, comments: int = 1) -> None:
        """Raise the `Problem` (503) that tells a client to come back if so many do not fit.

        An empty queue takes a list of any length: one over the limit would never be answered else.
        """
        self.check_ready()
        if self._waiting and self._waiting + comments > self._limit:
            raise Problem(
                503,
                "overloaded",
                f"the service is busy; try again in {RETRY_AFTER_SECONDS} seconds",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )

    async def answer(self, records: Sequence[object]) -> list[Result]:
        """Return one result per record, in order; raises `Problem` (503) where there is no room."""
        self.check_room(len(records))
        self._count(len(records))
        try:
            turns = asyncio.Semaphore(self._threads)
            starts = range(0, len(records), SLICE)
            slices = [self._slice(records[n : n + SLICE], first=n, turns=turns) for n in starts]
            return [result for part in await asyncio.gather(*slices) for result in part]
        finally:
            self._count(-len(records))

    async def _slice(
        self, records: Sequence[object], *, first: int, turns: asyncio.Semaphore
    ) -> list[Result]:
        async with turns:
            return await asyncio.get_running_loop().run_in_executor(
                self.check_ready(), lambda: self._service.answer(records, first=first)
            )

    def _count(self, comments: int) -> None:
        self._waiting += comments
        self._depth.set(self._waiting)

    async def close(self) -> None:
        """Take nothing more in and wait for what runs."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
