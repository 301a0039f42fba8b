"""The process around the application: an address, a port, an end that finishes what it began."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

import click
import uvicorn
from fastapi import FastAPI

from model.errors import ConfigError
from serving.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    family: socket.AddressFamily
    ip: str


def bind(settings: Settings) -> socket.socket:
    """Return a socket that listens at the address of the settings; who connects early waits.

    Raises `ConfigError`: no such address, an address that others can reach without a key set, a
    port that is taken or not allowed.
    """
    address = _resolve(settings.host)
    if not settings.api_keys and not ipaddress.ip_address(address.ip).is_loopback:
        raise ConfigError(
            f"ECHOLOT_HOST: {settings.host} can be reached from other machines, so a key is needed:"
            " put the pair of 'echolot keys new NAME' into ECHOLOT_API_KEYS, or listen on 127.0.0.1"
        )
    return _listen(address, settings, port=settings.port, option=socket.SO_REUSEADDR)


def bind_each(settings: Settings) -> list[socket.socket]:
    """Return one socket for each worker, all at the same address and port; raises as `bind`."""
    if settings.workers == 1:
        return [bind(settings)]
    # Sockets that share a port would share it with another program's too: nobody may have it.
    with bind(settings) as first:
        port = first.getsockname()[1]
    address = _resolve(settings.host)
    return [
        _listen(address, settings, port=port, option=socket.SO_REUSEPORT)
        for _ in range(settings.workers)
    ]


def _listen(address: _Address, settings: Settings, *, port: int, option: int) -> socket.socket:
    # The protocol is named because asyncio sets TCP_NODELAY only where it is; without, an answer on
    # a kept connection waits 40 ms for the client's acknowledgement.
    bound = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # With SO_REUSEADDR a restart need not wait for the last connections of the process before it.
    bound.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        bound.bind((address.ip, port))
        # Only now is it sure that no other program took the port at the same moment.
        bound.listen(2048)
    except OSError as problem:
        bound.close()
        raise _cannot_bind(problem, settings) from None
    return bound


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


def _resolve(host: str) -> _Address:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise ConfigError(
            f"ECHOLOT_HOST: {host!r} is no address of this machine; 127.0.0.1 is the usual one"
        ) from None
    family, _, _, _, place = found[0]
    return _Address(family=family, ip=str(place[0]))


def _cannot_bind(problem: OSError, settings: Settings) -> ConfigError:
    if problem.errno == errno.EADDRINUSE:
        return ConfigError(
            f"ECHOLOT_PORT: port {settings.port} on {settings.host} is in use;"
            " stop the other program, or set ECHOLOT_PORT to a free port"
        )
    if problem.errno == errno.EACCES:
        return ConfigError(
            f"ECHOLOT_PORT: port {settings.port} may not be used; set ECHOLOT_PORT to 1024 or above"
        )
    reason = os.strerror(problem.errno) if problem.errno else "unknown reason"
    return ConfigError(
        f"ECHOLOT_HOST: cannot listen on {settings.host} ({reason}); 127.0.0.1 is the usual one"
    )
