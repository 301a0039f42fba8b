"""`echolot serve` and `echolot keys`; what they need is imported when they run."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from serving.service import Service
    from serving.settings import Settings


@click.command()
def serve() -> None:
    """Start the HTTP API, as the environment variables ECHOLOT_* say."""
    from serving.service import load_service
    from serving.settings import load_settings

    run_service(load_settings(), load=load_service)


def run_service(settings: Settings, *, load: Callable[[Settings], Service]) -> None:
    """Answer at the address of the settings with what `load` returns, until a signal ends it.

    Raises `ConfigError` for an address that cannot be used, and whatever `load` raises.
    """
    from serving.workers import Workers, check_platform

    with ExitStack() as stack:
        if settings.workers > 1:
            check_platform()
            stack.enter_context(shared_metrics())
        from serving.addresses import bind_each
        from serving.logs import configure_logs

        # The address first: a taken port should be known before seconds go into the model.
        sockets = [stack.enter_context(bound) for bound in bind_each(settings)]
        configure_logs(settings.log_level)
        with ThreadPoolExecutor(1, thread_name_prefix="load") as pool:
            loading = pool.submit(load, settings)
            # Beside it: the web framework takes as long to import as the model to load. And only
            # now: the library of the metrics looks when it is imported whether they are shared.
            from serving.app import create_app
            from serving.metrics import forget_process
            from serving.reloading import Reloading
            from serving.server import serve_app
            from serving.service import wanted_version

            service = loading.result()

        def work(bound: socket.socket, place: int) -> None:
            # A model that the settings name stays until somebody asks for a reload.
            look = settings.reload_seconds if settings.model is None else 0
            reloading = Reloading(
                partial(load, settings),
                wanted=partial(wanted_version, settings),
                seconds=look or None,
            )
            serve_app(
                create_app(service, settings, reloading=reloading),
                bound=bound,
                settings=settings,
                model=service.model,
                on_hangup=reloading.ask,
                place=place,
            )

        if len(sockets) == 1:
            work(sockets[0], 0)
        else:
            Workers(sockets, work, bury=forget_process).run()


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Let the metrics of several processes be one, in files of numbers that are gone in the end."""
    with TemporaryDirectory(prefix="echolot-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


@click.group()
def keys() -> None:
    """Make keys for the API."""


@keys.command("new")
@click.argument("name")
def new(name: str) -> None:
    """Make a key for the caller NAME, and show it this once."""
    from serving.keys import new_key

    key, kept = new_key(name)
    click.echo(f"key, for the caller, shown only now:     {key}")
    click.echo(f"pair, for the setting ECHOLOT_API_KEYS:  {kept}")
