"""The process around the application: an address, a port, an end that finishes what it began."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import click
import uvicorn
from fastapi import FastAPI

from serving.settings import Settings


def serve_app(
    app: FastAPI,
    *,
    bound: socket.socket,
    settings: Settings,
    model: str,
    on_hangup: Callable[[], None] | None = None,
    place: int = 0,
) -> None:
    """Serve until a signal ends it; what was taken in by then is finished.

    A line on stdout says when the service answers, and where; of several workers the first, by
    `place`, prints it. SIGHUP calls `on_hangup`.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    host, port = bound.getsockname()[:2]
    at = f"[{host}]" if ":" in host else host
    ready = f"Echolot answers at http://{at}:{port} (model {model}; its API is shown at /docs)"
    _Server(config, ready=None if place else ready, on_hangup=on_hangup).run(sockets=[bound])


class _Server(uvicorn.Server):
    """A server that says when it answers: not when it starts, but when it listens."""

    def __init__(
        self, config: uvicorn.Config, *, ready: str | None, on_hangup: Callable[[], None] | None
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._on_hangup = on_hangup

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Ask for the end; a second Ctrl-C does not wait for what was taken in.

        The base class raises the signal anew after the end. A stop that was asked for and went
        well is no failure: without that the process ends with 0.
        """
        if self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then print the line."""
        # A terminal sends it too, when it is closed: then the server should end as usual.
        if self._on_hangup and hasattr(signal, "SIGHUP") and not os.isatty(0):
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup)
        await super().startup(sockets=sockets)
        if self.started and self._ready:
            click.echo(self._ready)
