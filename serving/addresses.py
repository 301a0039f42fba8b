"""The address and port that a service listens at."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
from dataclasses import dataclass

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
