from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.records import Comment
from serving.batching import BATCH_WORK, COMMENT_WORK, Lines, Part, Ticket, work_of
from tests.fakes import word_service

SERVICE = word_service()


def ticket(*lengths: int, service=SERVICE) -> Ticket:
    return Ticket(service, [Comment(id=str(n), text="x" * n) for n in lengths])


def filled(*tickets: Ticket) -> Lines[Ticket]:
    lines: Lines[Ticket] = Lines()
    for one in tickets:
        lines.put(one)
    return lines


def long_ticket(comments: int = 1000) -> Ticket:
    return ticket(*[100] * comments)


def spans(batch: list[Part[Ticket]] | None) -> list[tuple[int, int]]:
    assert batch is not None
    return [(part.start, part.end) for part in batch]


def test_short_requests_share_a_batch_in_the_order_they_came():
    tickets = [ticket(50) for _ in range(5)]
    batch = filled(*tickets).take()
    assert [part.ticket for part in batch] == tickets


def test_a_batch_is_bounded():
    lines = filled(*[ticket(170) for _ in range(20)])
    sizes = [len(lines.take()) for _ in range(2)]
    assert sizes == [BATCH_WORK // (170 + COMMENT_WORK)] * 2


def test_a_comment_over_the_bound_is_read_by_itself():
    lines = filled(ticket(10_000, 10, 10_000))
    assert [spans(lines.take()) for _ in range(3)] == [[(0, 1)], [(1, 2)], [(2, 3)]]


def test_one_batch_of_a_long_list_at_most_comes_before_a_single_comment():
    lines = filled(long_ticket())
    for _ in range(3):
        assert not lines.take()[0].ticket.short
        single = ticket(50)
        lines.put(single)
        assert lines.take()[0].ticket is single


def test_slices_are_half_as_long_while_single_comments_keep_coming():
    lines = filled(long_ticket())
    sizes = []
    for _ in range(3):
        (part,) = lines.take()
        sizes.append(part.end - part.start)
        lines.put(ticket(50))
        lines.take()
    (part,) = lines.take()
    (quiet,) = lines.take()
    whole = BATCH_WORK // (100 + COMMENT_WORK)
    half = BATCH_WORK // 2 // (100 + COMMENT_WORK)
    assert [*sizes, part.end - part.start] == [whole, half, half, half]
    assert quiet.end - quiet.start == whole


def test_a_long_list_is_not_starved_by_single_comments():
    long = long_ticket(100)
    lines = filled(long)
    batches = 0
    while long.taken < 100:
        # Always more of them than a batch holds.
        while lines.work_ahead < 10 * BATCH_WORK:
            lines.put(ticket(100))
        lines.take()
        batches += 1
    assert batches <= 2 * 100 * (100 + COMMENT_WORK) / (BATCH_WORK // 2) + 4


def test_long_lists_take_turns():
    first, second = long_ticket(), long_ticket()
    lines = filled(first, second)
    assert [lines.take()[0].ticket for _ in range(4)] == [first, second, first, second]


def test_a_dropped_request_is_not_taken_and_weighs_nothing():
    single, long, other = ticket(50), long_ticket(), ticket(60)
    lines = filled(single, long, other)
    assert lines.drop(single)
    assert lines.drop(long)
    assert not lines.drop(long)
    assert lines.work == work_of(other.comments[0])
    assert [part.ticket for part in lines.take()] == [other]
    assert lines.work == 0


def test_a_request_that_was_begun_can_be_kept_or_cut_short():
    long = long_ticket()
    lines = filled(long)
    lines.take()
    assert not lines.drop(long, unless_begun=True)
    assert lines.drop(long)
    assert lines.work == 0
    lines.close()
    assert lines.take() is None


def test_a_batch_never_mixes_two_services():
    other = word_service()
    tickets = [ticket(10), ticket(10), ticket(10, service=other), ticket(10)]
    lines = filled(*tickets)
    assert [[p.ticket for p in lines.take()] for _ in range(3)] == [
        tickets[:2],
        [tickets[2]],
        [tickets[3]],
    ]


def test_threads_that_are_free_share_what_is_there():
    lines: Lines[Ticket] = Lines()
    taken: list[int] = []

    def take() -> None:
        taken.append(len(lines.take()))

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    while lines._idle < 2:
        time.sleep(0.001)
    for _ in range(8):
        lines.put(ticket(20))
    lines.wake()
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(taken) == [4, 4]


def test_closing_sends_threads_home_and_tells_what_was_left():
    done, waiting = ticket(20), ticket(BATCH_WORK)
    lines = filled(done, waiting)
    lines.take()
    assert lines.close() == [waiting]
    assert lines.take() is None


@pytest.mark.parametrize("threads", [0, 3])
@given(
    requests=st.lists(
        st.lists(st.integers(0, 3_000), min_size=1, max_size=30), min_size=1, max_size=12
    ),
    drops=st.sets(st.integers(0, 11), max_size=3),
)
def test_every_comment_is_taken_once_and_in_order_in_bounded_batches(threads, requests, drops):
    tickets = [ticket(*lengths) for lengths in requests]
    lines = filled(*tickets)
    lines._idle = threads
    for n in drops & set(range(len(tickets))):
        lines.drop(tickets[n])
    taken: dict[int, int] = {}
    while lines.work:
        batch = lines.take()
        comments = sum(part.end - part.start for part in batch)
        assert comments == 1 or sum(part.work for part in batch) <= BATCH_WORK
        for part in batch:
            n = tickets.index(part.ticket)
            assert part.start == taken.get(n, 0)
            assert part.end > part.start
            taken[n] = part.end
    expected = {n: len(t.comments) for n, t in enumerate(tickets) if n not in drops}
    assert taken == expected
