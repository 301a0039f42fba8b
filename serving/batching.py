"""The queue before the model: two lines, from which threads take batches of bounded work.

What fits into one batch waits in the short line and is taken whole, several requests at a time.
What does not waits in the long line and is taken by slices, turn by turn. Where both wait they
take turns, so a long list delays a single comment by one batch at most (by half of one where single
ones keep coming), and is never starved.

Nothing waits for company: a thread that is free takes what is there, and leaves their share to
others that are free. The same comment gets the same answer in any batch, so cutting and mixing
change nothing.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Generic, TypeVar

from model.records import Comment

if TYPE_CHECKING:
    from serving.service import Service

# Characters; about sixteen comments of the usual length, some 50 ms on one core: enough to spread
# the cost of a hand-over, little enough for others to get a turn.
BATCH_WORK = 2_000
# What a comment costs beside its characters: special tokens, rules, its part of a hand-over.
COMMENT_WORK = 30


class Ticket:
    """One request in the queue: its comments, and how far batches have taken them.

    `service` answers all of them: a request never mixes two models.
    """

    def __init__(self, service: Service, comments: Sequence[Comment]) -> None:
        self.service = service
        self.comments = comments
        self.work = sum(work_of(comment) for comment in comments)  # not taken yet, in characters
        self.short = self.work <= BATCH_WORK  # taken as a whole
        self.taken = 0
        self.dropped = False


T = TypeVar("T", bound=Ticket)


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """The comments of a ticket from `start` on, before `end`."""

    ticket: T
    start: int
    end: int

    @property
    def comments(self) -> Sequence[Comment]:
        """Return them."""
        return self.ticket.comments[self.start : self.end]

    @property
    def work(self) -> int:
        """Return what they cost, in characters."""
        return sum(work_of(comment) for comment in self.comments)


def work_of(comment: Comment) -> int:
    """Return what a comment costs the model, in characters; a rough measure."""
    return COMMENT_WORK + len(comment.text)


class Lines(Generic[T]):
    """The two lines. Any thread may call any of it."""

    def __init__(self) -> None:
        self._filled = threading.Condition()
        self._short: deque[T] = deque()
        self._long: deque[T] = deque()
        self._short_work = self._long_work = 0  # of the tickets in them that were not dropped
        self._long_is_next = False  # where both wait
        self._idle = 0  # threads that wait for work
        self._closed = False

    @property
    def work(self) -> int:
        """Return the work that waits, in characters."""
        return self._short_work + self._long_work

    @property
    def work_ahead(self) -> int:
        """Return the work that a short request would wait for: the short line, and their turns."""
        return self._short_work + min(self._short_work, self._long_work)

    def put(self, ticket: T) -> None:
        """Let a request wait for its turn; threads that sleep are woken by `wake`."""
        with self._filled:
            if ticket.short:
                self._short.append(ticket)
                self._short_work += ticket.work
            else:
                self._long.append(ticket)
                self._long_work += ticket.work

    def wake(self) -> None:
        """Wake a thread for each request that waits; once for all that came in together."""
        with self._filled:
            self._filled.notify(min(self._idle, len(self._short) + len(self._long)))

    def drop(self, ticket: T, *, unless_begun: bool = False) -> bool:
        """Take what is left of a request out of the queue; tell whether that was done.

        With `unless_begun` a request stays if any of its comments is in a batch already.
        """
        with self._filled:
            if ticket.dropped or (unless_begun and ticket.taken):
                return False
            # It is left in its line, empty; whoever comes to it passes on.
            ticket.dropped = True
            if ticket.short:
                self._short_work -= ticket.work
            else:
                self._long_work -= ticket.work
            ticket.work = 0
            return True

    def take(self) -> list[Part[T]] | None:
        """Wait for work and return a batch of one service; None once the lines are closed."""
        with self._filled:
            self._idle += 1
            try:
                while not self._any_waits():
                    if self._closed:
                        return None
                    self._filled.wait()
            finally:
                self._idle -= 1
            take_long = bool(self._long) and (self._long_is_next or not self._short)
            if take_long:
                # Short ones are about: the next of them should not wait for a whole batch.
                batch = [self._take_slice(BATCH_WORK // 2 if self._long_is_next else BATCH_WORK)]
            else:
                batch = self._take_short()
            self._long_is_next = not take_long
            if self._idle and self._any_waits():
                self._filled.notify()
            return batch

    def close(self) -> list[T]:
        """Send the threads home; return the requests of which something was still waiting."""
        with self._filled:
            self._closed = True
            left = [t for t in (*self._short, *self._long) if not t.dropped]
            self._short.clear()
            self._long.clear()
            self._filled.notify_all()
            return left

    def _any_waits(self) -> bool:
        for line in (self._short, self._long):
            while line and line[0].dropped:
                line.popleft()
        return bool(self._short or self._long)

    def _share(self, work: int) -> int:
        # Threads that are free at this moment should not look on while one does it all.
        return min(BATCH_WORK, ceil(work / (self._idle + 1)))

    def _take_short(self) -> list[Part[T]]:
        room = self._share(self._short_work)
        service = self._short[0].service
        parts: list[Part[T]] = []
        while self._short and (ticket := self._short[0]).service is service:
            if ticket.dropped:
                self._short.popleft()
                continue
            if parts and ticket.work > room:
                break
            self._short.popleft()
            room -= ticket.work
            self._short_work -= ticket.work
            ticket.work = 0
            ticket.taken = len(ticket.comments)
            parts.append(Part(ticket, 0, ticket.taken))
        return parts

    def _take_slice(self, most: int) -> Part[T]:
        ticket = self._long.popleft()
        start, room = ticket.taken, min(most, self._share(ticket.work))
        while ticket.taken < len(ticket.comments):
            work = work_of(ticket.comments[ticket.taken])
            if ticket.taken > start and work > room:
                self._long.append(ticket)
                break
            room -= work
            ticket.work -= work
            self._long_work -= work
            ticket.taken += 1
        return Part(ticket, start, ticket.taken)
