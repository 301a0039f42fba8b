"""Servers to compare with, and the offline rate: each in a process of its own.

    python -m benchmarks.servers direct|pool|nothing|offline TEXTS [--comments 2000]

direct: an `async def` route that calls the model. pool: a `def` route, in a pool of as many threads
as there are cores. nothing: a route that answers at once. All three read and write the same JSON
over the same web server as Echolot, and print the port. offline: no web server; all cores read the
texts in lists of a batch's size, and the rate and the seconds of a list are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import anyio.to_thread
import uvicorn
from fastapi import FastAPI, Request, Response

from model.records import Comment
from serving.answers import result_json
from serving.batching import BATCH_WORK, work_of
from serving.service import Service, load_service
from serving.settings import Settings
from serving.strict_json import read_json, write_json

CORES = len(os.sched_getaffinity(0))


def answer(service: Service, body: bytes) -> Response:
    results = service.answer(read_json(body)["comments"])
    said = {
        "model": service.model,
        "taxonomy": service.fingerprint,
        "results": [result_json(result, taxonomy=service.taxonomy) for result in results],
    }
    return Response(write_json(said), media_type="application/json")


def make_app(way: str, service: Service) -> FastAPI:
    app = FastAPI()
    nothing = answer(service, b'{"comments": [{"comment": "Alles gut"}]}').body

    if way == "direct":

        @app.post("/v1/classify")
        async def direct(request: Request) -> Response:
            return answer(service, await request.body())

    elif way == "pool":

        @app.post("/v1/classify")
        async def pool(request: Request) -> Response:
            # What a `def` route does; FastAPI gives such a route no raw body.
            return await anyio.to_thread.run_sync(answer, service, await request.body())

    else:

        @app.post("/v1/classify")
        async def do_nothing(request: Request) -> Response:
            await request.body()
            return Response(nothing, media_type="application/json")

    return app


class Server(uvicorn.Server):
    async def startup(self, sockets: list | None = None) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = CORES
        await super().startup(sockets=sockets)
        print(self.servers[0].sockets[0].getsockname()[1], flush=True)


def offline(service: Service, texts: list[str], *, comments: int) -> None:
    lists: list[list[Comment]] = [[]]
    for text in islice(cycle(texts), comments):
        lists[-1].append(Comment(id="1", text=text))
        if sum(map(work_of, lists[-1])) >= BATCH_WORK:
            lists.append([])

    def judge(part: list[Comment]) -> float:
        start = time.perf_counter()
        service.judge(part)
        return time.perf_counter() - start

    with ThreadPoolExecutor(CORES) as pool:
        start = time.perf_counter()
        took = sorted(pool.map(judge, filter(None, lists)))
        seconds = time.perf_counter() - start
    print(json.dumps({"rate": comments / seconds, "batch_seconds": took[len(took) // 2]}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=["direct", "pool", "nothing", "offline"])
    parser.add_argument("texts", type=Path)
    parser.add_argument("--comments", type=int, default=2000)
    chosen = parser.parse_args()
    service = load_service(Settings(cache_entries=0))
    service.answer([{"comment": "ok"}])
    if chosen.way == "offline":
        texts = json.loads(chosen.texts.read_text("utf-8"))
        offline(service, texts, comments=chosen.comments)
        return
    app = make_app(chosen.way, service)
    Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False)).run()


if __name__ == "__main__":
    main()
