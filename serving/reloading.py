"""Takes up a newly promoted model while the service runs, and rules that were changed when asked.

The new model is loaded beside the old one and answers one comment before it answers a caller.
Requests that are in finish with the old one. Where loading fails, the old one stays.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from model.errors import EcholotError
from serving.inference import Inference, try_out
from serving.metrics import Metrics
from serving.service import Service

log = logging.getLogger("echolot.models")


class Reloading:
    """Looks every few `seconds` whether another model is in production; None looks only if asked.

    `load` returns the service that answers from now on, `wanted` the version that it would have.
    Both run in a thread.
    """

    def __init__(
        self,
        load: Callable[[], Service],
        *,
        wanted: Callable[[], str],
        seconds: float | None,
    ) -> None:
        self._load = load
        self._wanted = wanted
        self._seconds = seconds
        self._asked = asyncio.Event()
        self._failed: str | None = None  # what was tried in vain, so as not to try it for ever

    def ask(self) -> None:
        """Load anew, whether or not the model is another: rules or taxonomy may be."""
        self._asked.set()

    async def watch(self, inference: Inference, metrics: Metrics) -> None:
        """Keep the model of `inference` the one that is wanted, until this is cancelled."""
        while True:
            asked = await self._wait()
            try:
                wanted = await asyncio.to_thread(self._wanted)
            except Exception as problem:
                wanted = str(problem)  # it fails when it is loaded too, and is told then
            if asked or wanted not in (inference.service.version, self._failed):
                loaded = await self._replace(inference, metrics)
                self._failed = None if loaded else wanted

    async def _wait(self) -> bool:
        try:
            async with asyncio.timeout(self._seconds):
                await self._asked.wait()
        except TimeoutError:
            return False
        self._asked.clear()
        return True

    async def _replace(self, inference: Inference, metrics: Metrics) -> bool:
        before = inference.service.model
        try:
            service = await asyncio.to_thread(self._load_and_try)
        except Exception as problem:
            # Our own errors name files and settings; another's message might quote a comment.
            why = str(problem) if isinstance(problem, EcholotError) else type(problem).__name__
            log.error("loading failed", extra={"fields": {"problem": why, "model": before}})
            metrics.count_reload("failed")
            return False
        inference.swap(service)
        log.info("loaded", extra={"fields": {"model": service.model, "before": before}})
        metrics.count_reload("loaded")
        return True

    def _load_and_try(self) -> Service:
        service = self._load()
        try_out(service)
        return service
