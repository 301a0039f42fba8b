from __future__ import annotations

import asyncio
from threading import Event

import pytest
from prometheus_client import CollectorRegistry, Gauge

from serving.inference import SLICE, Inference
from serving.problems import Problem
from tests.fakes import WordClassifier, word_service


def make(classifier: WordClassifier, *, threads: int = 1, limit: int = 1000) -> Inference:
    depth = Gauge("depth", "Depth", registry=CollectorRegistry())
    return Inference(word_service(classifier), threads=threads, limit=limit, depth=depth)


async def opened(classifier: WordClassifier, **options: int) -> Inference:
    inference = make(classifier, **options)
    await inference.open()
    return inference


def comments(count: int) -> list[dict[str, str]]:
    return [{"id": str(n), "comment": "kaputt"} for n in range(count)]


def test_a_busy_model_leaves_the_event_loop_free():
    async def run() -> int:
        inference = await opened(WordClassifier(seconds=0.3))
        answer = asyncio.create_task(inference.answer(comments(1)))
        turns = 0
        while not answer.done():
            await asyncio.sleep(0.005)
            turns += 1
        await inference.close()
        return turns

    # A loop that was blocked would come round once.
    assert asyncio.run(run()) > 3


def test_a_full_queue_refuses_and_says_when_to_come_back():
    async def run() -> None:
        gate = Event()
        gate.set()
        inference = await opened(WordClassifier(gate=gate), limit=10)
        gate.clear()
        first = asyncio.create_task(inference.answer(comments(8)))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await inference.answer(comments(3))
        assert (refused.value.status, refused.value.code) == (503, "overloaded")
        assert int(refused.value.headers["Retry-After"]) >= 1
        second = asyncio.create_task(inference.answer(comments(2)))
        await asyncio.sleep(0)
        gate.set()
        assert [len(part) for part in await asyncio.gather(first, second)] == [8, 2]
        # What was refused is taken once there is room, and an empty queue takes any list.
        assert len(await inference.answer(comments(30))) == 30
        await inference.close()

    asyncio.run(run())


def test_a_single_comment_does_not_wait_for_the_whole_of_a_long_list():
    async def run() -> list[str]:
        inference = await opened(WordClassifier(seconds=0.02))
        done: list[str] = []

        async def ask(name: str, count: int) -> None:
            await inference.answer(comments(count))
            done.append(name)

        await asyncio.gather(ask("long", SLICE * 10), ask("single", 1))
        await inference.close()
        return done

    assert asyncio.run(run()) == ["single", "long"]


def test_closing_waits_for_what_runs_and_takes_nothing_more():
    async def run() -> None:
        inference = make(WordClassifier(seconds=0.1))
        with pytest.raises(Problem, match="starting or shutting down"):
            inference.check_ready()
        await inference.open()
        running = asyncio.create_task(inference.answer(comments(1)))
        await asyncio.sleep(0.01)
        await inference.close()
        assert len(await running) == 1
        with pytest.raises(Problem, match="starting or shutting down"):
            await inference.answer(comments(1))

    asyncio.run(run())
