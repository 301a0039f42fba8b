from __future__ import annotations

import asyncio
from collections import Counter
from threading import Event

import pytest

from model.records import Comment, Prediction
from serving.inference import Inference
from serving.metrics import Metrics
from serving.problems import Problem
from tests.fakes import WordClassifier, word_service


def make(
    classifier: WordClassifier, *, threads: int = 1, limit: int = 1000, deadline: float = 60.0
) -> Inference:
    return Inference(
        word_service(classifier),
        threads=threads,
        limit=limit,
        deadline=deadline,
        metrics=Metrics(),
    )


async def opened(classifier: WordClassifier, **options: float) -> Inference:
    inference = make(classifier, **options)
    await inference.open()
    return inference


def comments(count: int, text: str = "kaputt") -> list[dict[str, str]]:
    return [{"id": str(n), "comment": text} for n in range(count)]


def gated() -> tuple[Event, WordClassifier]:
    """Return a model that answers while the gate is open, as it is at first."""
    gate = Event()
    gate.set()
    return gate, WordClassifier(gate=gate)


async def until(holds) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.001)


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


def test_requests_that_come_together_are_read_together_and_answered_each_its_own():
    async def run() -> None:
        classifier = WordClassifier()
        inference = await opened(classifier)
        texts = ["kaputt", "schnell", "nichts", "sehr fast"] * 4
        answers = await asyncio.gather(
            *(inference.answer([{"id": f"r{n}", "comment": t}]) for n, t in enumerate(texts))
        )
        for n, (text, answer) in enumerate(zip(texts, answers, strict=True)):
            (result,) = answer.results
            assert result.id == f"r{n}"
            found = [label.label for label in result.prediction.labels]
            assert (
                found
                == {
                    "kaputt": ["product.quality"],
                    "schnell": ["delivery.speed"],
                    "nichts": [],
                    "sehr fast": ["delivery.speed"],
                }[text]
            )
        # The first is the comment that is tried at the start.
        assert classifier.calls == [1, 16]
        await inference.close()

    asyncio.run(run())


def test_a_list_keeps_its_order_with_errors_and_silence_among_its_comments():
    async def run() -> None:
        inference = await opened(WordClassifier(), threads=3)
        records = [
            {"comment": "kaputt " * (n % 40)} if n % 7 else {"id": "bad", "comment": 7}
            for n in range(500)
        ]
        results = (await inference.answer(records)).results
        assert [r.id for r in results] == [str(n) if n % 7 else "bad" for n in range(500)]
        assert [r.error is None for r in results] == [bool(n % 7) for n in range(500)]
        assert [bool(r.prediction and r.prediction.labels) for r in results] == [
            bool(n % 7 and n % 40) for n in range(500)
        ]
        await inference.close()

    asyncio.run(run())


def test_a_full_queue_refuses_and_says_when_to_come_back():
    async def run() -> None:
        gate, classifier = gated()
        inference = await opened(classifier, limit=10)
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
        answers = await asyncio.gather(first, second)
        assert [len(answer.results) for answer in answers] == [8, 2]
        # What was refused is taken once there is room, and an empty queue takes any list.
        assert len((await inference.answer(comments(30))).results) == 30
        await inference.close()

    asyncio.run(run())


def test_what_would_wait_too_long_is_refused_at_once():
    async def run() -> None:
        inference = await opened(WordClassifier(seconds=0.05), deadline=0.5, limit=100_000)
        # Now it is known what a comment takes: one of these fills a batch.
        text = "x" * 1_900
        for _ in range(3):
            await inference.answer(comments(1, text))
        asked = [asyncio.create_task(inference.answer(comments(1, text))) for _ in range(40)]
        await asyncio.wait(asked)
        problems = [task.exception() for task in asked]
        refused = [p for p in problems if isinstance(p, Problem)]
        assert {p.code for p in refused} == {"overloaded"}
        # Half of the deadline holds five batches.
        assert 3 <= len(asked) - len(refused) <= 10
        await inference.close()

    asyncio.run(run())


def test_a_request_whose_turn_does_not_come_is_refused_and_not_computed():
    async def run() -> None:
        gate, classifier = gated()
        inference = await opened(classifier, deadline=0.05)
        gate.clear()
        begun = asyncio.create_task(inference.answer(comments(1)))
        await until(lambda: classifier.calls == [1, 1])
        with pytest.raises(Problem) as refused:
            await inference.answer(comments(3))
        assert (refused.value.status, refused.value.code) == (503, "deadline")
        assert int(refused.value.headers["Retry-After"]) >= 1
        # What was begun in time is finished, however late.
        assert not begun.done()
        gate.set()
        assert len((await begun).results) == 1
        await inference.answer(comments(1))
        assert classifier.calls == [1, 1, 1]
        await inference.close()

    asyncio.run(run())


def test_nothing_is_computed_for_a_client_that_left():
    async def run() -> None:
        gate, classifier = gated()
        inference = await opened(classifier, limit=3000)
        loop = asyncio.get_running_loop()
        gate.clear()
        begun = asyncio.create_task(inference.answer(comments(1)))
        await until(lambda: classifier.calls == [1, 1])
        left: asyncio.Future[None] = loop.create_future()
        gone = asyncio.create_task(inference.answer(comments(1000), left=left))
        cancelled = asyncio.create_task(inference.answer(comments(1000)))
        await asyncio.sleep(0.01)
        left.set_result(None)
        cancelled.cancel()
        with pytest.raises(Problem) as problem:
            await gone
        assert problem.value.status == 499
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        gate.set()
        await begun
        await inference.answer(comments(2))
        assert classifier.calls == [1, 1, 2]
        await inference.close()

    asyncio.run(run())


def test_a_single_comment_does_not_wait_for_the_whole_of_a_long_list():
    async def run() -> list[str]:
        inference = await opened(WordClassifier(seconds=0.02))
        done: list[str] = []

        async def ask(name: str, count: int) -> None:
            await inference.answer(comments(count))
            done.append(name)

        await asyncio.gather(ask("long", 800), ask("single", 1))
        await inference.close()
        return done

    assert asyncio.run(run()) == ["single", "long"]


class Allergic(WordClassifier):
    def classify(self, comments: list[Comment]) -> list[Prediction]:
        if any(comment.text == "Gift" for comment in comments):
            raise RuntimeError
        return super().classify(comments)


def test_a_comment_that_breaks_the_model_breaks_no_other_request():
    async def run() -> None:
        inference = await opened(Allergic())
        outcomes = await asyncio.gather(
            *(inference.answer([{"comment": t}]) for t in ("kaputt", "Gift", "schnell")),
            return_exceptions=True,
        )
        assert [isinstance(outcome, RuntimeError) for outcome in outcomes] == [False, True, False]
        await inference.close()

    asyncio.run(run())


class Other(WordClassifier):
    name = "words-2"


def test_a_request_is_answered_by_the_service_that_it_met():
    async def run() -> None:
        gate, classifier = gated()
        inference = await opened(classifier)
        gate.clear()
        before = [asyncio.create_task(inference.answer(comments(n))) for n in (1, 300, 1)]
        await asyncio.sleep(0.01)
        inference.swap(word_service(other := Other()))
        after = [asyncio.create_task(inference.answer(comments(n))) for n in (1, 300, 1)]
        await asyncio.sleep(0.01)
        gate.set()
        models = Counter(answer.service.model for answer in await asyncio.gather(*before, *after))
        assert models == {"words-1": 3, "words-2": 3}
        # Each comment went to the model that its request names.
        assert sum(classifier.calls) == 1 + 302
        assert sum(other.calls) == 302
        await inference.close()

    asyncio.run(run())


def test_closing_finishes_what_runs_refuses_what_waits_and_takes_nothing_more():
    async def run() -> None:
        gate, classifier = gated()
        inference = make(classifier)
        with pytest.raises(Problem, match="starting or shutting down"):
            inference.check_ready()
        await inference.open()
        gate.clear()
        running = asyncio.create_task(inference.answer(comments(1)))
        await until(lambda: classifier.calls == [1, 1])
        waiting = asyncio.create_task(inference.answer(comments(1)))
        await asyncio.sleep(0.01)
        closing = asyncio.create_task(inference.close())
        with pytest.raises(Problem, match="shutting down"):
            await waiting
        gate.set()
        await closing
        assert len((await running).results) == 1
        with pytest.raises(Problem, match="starting or shutting down"):
            await inference.answer(comments(1))

    asyncio.run(run())
