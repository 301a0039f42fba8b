"""A load generator that costs little: keep-alive connections, requests made beforehand.

    python -m benchmarks.load PORT TEXTS closed --connections 16 --requests 2000 [--size 1]
    python -m benchmarks.load PORT TEXTS open --rate 900 --seconds 10

Closed: each connection asks as soon as it has its answer. Open: requests leave at their times,
whatever the server does, each on a connection that is free. Prints one JSON object: seconds, and
for each request when it began, how long it took, its status. Runs in a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from itertools import count, cycle, islice
from pathlib import Path

Done = tuple[float, float, int]  # began at, seconds, status


class Connection(asyncio.Protocol):
    """One request at a time over one connection."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[int] | None = None
        self._got = bytearray()

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._got[:end]).lower()
        start = head.index(b"content-length: ") + 16
        length = int(head[start:].split(b"\r\n", 1)[0])
        if len(self._got) < end + 4 + length:
            return
        status = int(head[9:12])
        self._got.clear()
        self._answer.set_result(status)

    def connection_lost(self, _: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(0)

    @property
    def is_closed(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self._transport.close()


def request_bytes(texts: list[str]) -> bytes:
    body = json.dumps({"comments": [{"comment": text} for text in texts]}).encode()
    head = (
        "POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def connect(port: int) -> Connection:
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


async def timed(connection: Connection, request: bytes, *, since: float) -> Done:
    begin = time.perf_counter()
    status = await connection.ask(request)
    return begin - since, time.perf_counter() - begin, status


async def closed(port: int, bodies: list[bytes], *, connections: int, requests: int) -> list[Done]:
    numbers, done = count(), []
    since = time.perf_counter()

    async def client() -> None:
        connection = await connect(port)
        while (n := next(numbers)) < requests:
            done.append(await timed(connection, bodies[n % len(bodies)], since=since))
        connection.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return done


async def at_rate(port: int, bodies: list[bytes], *, rate: float, seconds: float) -> list[Done]:
    free: list[Connection] = []
    done: list[Done] = []
    since = time.perf_counter()

    async def one(request: bytes) -> None:
        connection = None
        while free and (connection is None or connection.is_closed):
            connection = free.pop()  # the server closes those that were idle for long
        if connection is None or connection.is_closed:
            connection = await connect(port)
        done.append(await timed(connection, request, since=since))
        free.append(connection)

    async with asyncio.TaskGroup() as group:
        for n, body in enumerate(islice(cycle(bodies), int(rate * seconds))):
            await asyncio.sleep(max(0.0, since + n / rate - time.perf_counter()))
            group.create_task(one(body))
    for connection in free:
        connection.close()
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("texts", type=Path)
    parser.add_argument("kind", choices=["closed", "open"])
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--size", type=int, default=1, help="comments a request")
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=10)
    chosen = parser.parse_args()
    texts = json.loads(chosen.texts.read_text("utf-8"))
    lists = [
        list(islice(cycle(texts), n, n + chosen.size)) for n in range(0, len(texts), chosen.size)
    ]
    bodies = [request_bytes(part) for part in lists]
    start = time.perf_counter()
    if chosen.kind == "closed":
        play = closed(chosen.port, bodies, connections=chosen.connections, requests=chosen.requests)
    else:
        play = at_rate(chosen.port, bodies, rate=chosen.rate, seconds=chosen.seconds)
    done = asyncio.run(play)
    print(json.dumps({"seconds": time.perf_counter() - start, "done": done}))


if __name__ == "__main__":
    main()
