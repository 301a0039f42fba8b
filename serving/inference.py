"""Runs the service in a bounded pool of threads, so that the event loop only waits.

Requests become tickets (`serving/batching.py`); threads take batches of them and hand a whole
batch back to the loop at once, since each hand-over costs as much as reading a small request.
What is in the queue is finished, what does not fit is refused, what nobody waits for is dropped.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import ceil
from threading import Thread

from model.records import Comment, Result
from serving.batching import Lines, Part, Ticket
from serving.metrics import Metrics
from serving.problems import Problem, client_left
from serving.service import Service

# Raw records that are read on the event loop, in about a millisecond; a thread reads longer lists.
READ_HERE = 200
# Seconds; what a client is told that is to come back, while nothing was measured or at most.
RETRY_AFTER = 2
LONGEST_RETRY_AFTER = 60
# How much of the deadline may be foreseen as waiting: the rest is for forecasts that were wrong.
FORESEEN = 0.5
# Of the measured pace, how much a batch leaves of what was known before it.
MEMORY = 0.95


@dataclass(frozen=True, slots=True)
class Answer:
    """The results of one request, in order, and the service that gave all of them."""

    service: Service
    results: list[Result]


class _Waiting(Ticket):
    """A ticket whose results are awaited on the event loop."""

    def __init__(
        self,
        service: Service,
        comments: Sequence[Comment],
        answered: asyncio.Future[list[Result]],
    ) -> None:
        super().__init__(service, comments)
        self._answered = answered
        self._parts: dict[int, list[Result]] = {}
        self._open = len(comments)

    def fill(self, start: int, outcome: list[Result] | Exception) -> None:
        """Take in the results of the comments from `start` on; the last ones end the waiting."""
        if isinstance(outcome, Exception):
            self.end(outcome)
            return
        self._parts[start] = outcome
        self._open -= len(outcome)
        if not self._open and not self._answered.done():
            self._answered.set_result([r for n in sorted(self._parts) for r in self._parts[n]])

    def end(self, problem: Exception) -> None:
        """End the waiting without an answer."""
        if not self._answered.done():
            self._answered.set_exception(problem)


class Inference:
    """The model as the event loop sees it. All but `open`'s threads runs on that loop."""

    def __init__(
        self,
        service: Service,
        *,
        threads: int,
        limit: int,
        deadline: float,
        metrics: Metrics,
    ) -> None:
        self._service = service
        self._limit = limit
        self._deadline = deadline
        self._metrics = metrics
        self._waiting = 0  # comments taken in and not answered yet
        self._lines: Lines[_Waiting] = Lines()
        self._count_of_threads = threads
        self._threads: list[Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_is_due = False
        self._seconds = self._done = 0.0  # of work, and of threads: their ratio is the pace
        metrics.show_model(service.model, taxonomy=service.fingerprint)

    @property
    def service(self) -> Service:
        """Return the service that answers requests from now on."""
        return self._service

    async def open(self) -> None:
        """Start the threads and answer one comment, so that being ready means having answered."""
        await asyncio.to_thread(try_out, self._service)
        self._loop = asyncio.get_running_loop()
        self._lines = Lines()
        self._threads = [
            Thread(
                target=self._work,
                args=(self._loop, self._lines),
                name=f"inference-{n}",
                daemon=True,
            )
            for n in range(self._count_of_threads)
        ]
        for thread in self._threads:
            thread.start()

    def swap(self, service: Service) -> None:
        """Answer with another service from now on; requests that are in finish with their own."""
        self._service = service
        self._metrics.show_model(service.model, taxonomy=service.fingerprint)

    def check_ready(self) -> asyncio.AbstractEventLoop:
        """Return the loop; raises `Problem` (503) before the threads start and after they end."""
        if self._loop is None:
            raise Problem(503, "not_ready", "the service is starting or shutting down")
        return self._loop

    def check_room(self, comments: int = 1) -> None:
        """Raise the `Problem` (503) that tells a client to come back if so many do not fit.

        They do not if the queue is full, or if their turn will come too late. An empty queue takes
        a list of any length: one over the limit would never be answered else.
        """
        self.check_ready()
        if not self._waiting:
            return
        foreseen = self._lines.work_ahead * self._pace()
        if self._waiting + comments > self._limit or foreseen > self._deadline * FORESEEN:
            raise self._come_back("overloaded", "the service is busy")

    async def answer(
        self, records: Sequence[object], *, left: asyncio.Future[None] | None = None
    ) -> Answer:
        """Return one result per record, in order, all by one service.

        Once `left` is done nobody waits for the answer, and what no thread has begun is not
        computed. Raises `Problem`: 503 where there is no room, or no turn came within the deadline;
        499 where the client left.
        """
        self.check_room(len(records))
        service = self._service
        self._count(len(records))
        try:
            if len(records) > READ_HERE:
                read = await asyncio.to_thread(service.read, records)
            else:
                read = service.read(records)
            comments = [item for item in read if isinstance(item, Comment)]
            judged = iter(await self._judged(service, comments, left=left) if comments else ())
        finally:
            self._count(-len(records))
        return Answer(service, [r if isinstance(r, Result) else next(judged) for r in read])

    async def _judged(
        self,
        service: Service,
        comments: Sequence[Comment],
        *,
        left: asyncio.Future[None] | None,
    ) -> list[Result]:
        loop = self.check_ready()
        answered: asyncio.Future[list[Result]] = loop.create_future()
        ticket = _Waiting(service, comments, answered)
        self._lines.put(ticket)
        if not self._wake_is_due:
            # Once for all that the loop reads in this round: they can share a batch.
            self._wake_is_due = True
            loop.call_soon(self._wake)
        late = loop.call_later(self._deadline, self._expire, ticket)
        leave = partial(_end_unheard, ticket)
        if left:
            left.add_done_callback(leave)
        try:
            return await answered
        finally:
            late.cancel()
            if left:
                left.remove_done_callback(leave)
            self._lines.drop(ticket)

    def _wake(self) -> None:
        self._wake_is_due = False
        self._lines.wake()

    def _expire(self, ticket: _Waiting) -> None:
        if self._lines.drop(ticket, unless_begun=True):
            why = f"its turn did not come within {self._deadline:g} seconds"
            ticket.end(self._come_back("deadline", why))

    def _come_back(self, code: str, why: str) -> Problem:
        seconds = ceil(self._lines.work * self._pace()) or RETRY_AFTER
        seconds = min(seconds, LONGEST_RETRY_AFTER)
        return Problem(
            503,
            code,
            f"{why}; try again in {seconds} seconds",
            headers={"Retry-After": str(seconds)},
        )

    def _pace(self) -> float:
        """Return the seconds that a character of work takes, all threads together; 0 unknown."""
        return self._seconds / self._done / self._count_of_threads if self._done else 0.0

    def _count(self, comments: int) -> None:
        self._waiting += comments
        self._metrics.queue.set(self._waiting)

    def _work(self, loop: asyncio.AbstractEventLoop, lines: Lines[_Waiting]) -> None:
        """Be one of the threads: take a batch, answer it, hand it back, until the lines close."""
        while (batch := lines.take()) is not None:
            work = sum(part.work for part in batch)
            started = time.perf_counter()
            outcomes = _outcomes(batch)
            seconds = time.perf_counter() - started
            # A loop that was ended by force has nobody left who waits.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._deliver, batch, outcomes, work, seconds)

    def _deliver(
        self,
        batch: Sequence[Part[_Waiting]],
        outcomes: Sequence[list[Result] | Exception],
        work: int,
        seconds: float,
    ) -> None:
        self._done = self._done * MEMORY + work
        self._seconds = self._seconds * MEMORY + seconds
        cache = batch[0].ticket.service.cache
        self._metrics.count_batch(
            sum(part.end - part.start for part in batch),
            cached=cache.take_counts() if cache else None,
        )
        for part, outcome in zip(batch, outcomes, strict=True):
            part.ticket.fill(part.start, outcome)

    async def close(self) -> None:
        """Take nothing more in, refuse what waits, and wait for what runs."""
        if self._loop is None:
            return
        self._loop = None
        for ticket in self._lines.close():
            ticket.end(Problem(503, "not_ready", "the service is shutting down"))
        for thread in self._threads:
            await asyncio.to_thread(thread.join)


def try_out(service: Service) -> None:
    """Answer one comment: what comes first pays for what is made when first used."""
    service.answer([{"comment": "ok"}])


def _end_unheard(ticket: _Waiting, _: object) -> None:
    ticket.end(client_left("the answer was there"))


def _outcomes(batch: Sequence[Part[_Waiting]]) -> list[list[Result] | Exception]:
    """Return the results of each part; where it fails, its exception, without its neighbours'."""
    service = batch[0].ticket.service
    try:
        results = service.judge([comment for part in batch for comment in part.comments])
    except Exception as problem:
        return [problem] if len(batch) == 1 else [_outcomes([part])[0] for part in batch]
    found = iter(results)
    return [[next(found) for _ in part.comments] for part in batch]
