"""Several processes at one address, for machines with more cores than one interpreter can feed.

They are forked once the model is loaded, so that they share its memory; the engine has no threads
of its own then. Each has a socket of its own at the one port, among which the kernel spreads the
connections. A worker that dies is replaced. Linux only.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType

from model.errors import ConfigError
from serving.logs import places

log = logging.getLogger("echolot.workers")
RESTART_SECONDS = 1.0  # so that a worker that cannot start is not forked without a pause
_SIGNALS = (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))


def check_platform() -> None:
    """Raise `ConfigError` where there can be one process only."""
    if sys.platform != "linux":
        raise ConfigError("ECHOLOT_WORKERS: more than one needs Linux; set ECHOLOT_THREADS instead")


class Workers:
    """One process for each socket; `work` runs in it, with its socket and place, until it ends.

    `bury` is told the process id of each that has ended.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        work: Callable[[socket.socket, int], None],
        *,
        bury: Callable[[int], None],
    ) -> None:
        self._sockets = sockets
        self._work = work
        self._bury = bury
        self._places: dict[int, int] = {}  # process id -> number of its socket
        self._ending = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, which let all finish what they took in; SIGHUP is passed."""
        # What is alive now stays: its pages can be shared for as long as nothing touches them.
        gc.collect()
        gc.freeze()
        # Nobody writes into it. Its end is open for as long as this process lives.
        pipe = os.pipe()
        for number in _SIGNALS:
            signal.signal(number, self._pass_on)
        for place in range(len(self._sockets)):
            self._fork(place, pipe)
        while self._places:
            pid, status = os.wait()
            place = self._places.pop(pid)
            self._bury(pid)
            if not self._ending:
                code = os.waitstatus_to_exitcode(status)
                log.error("worker ended", extra={"fields": {"worker": place, "code": code}})
                time.sleep(RESTART_SECONDS)
            if not self._ending:
                self._fork(place, pipe)
        for end in pipe:
            os.close(end)

    def _fork(self, place: int, pipe: tuple[int, int]) -> None:
        # A signal that comes before the new process is noted would not be passed on to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid:
            self._places[pid] = place
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            return
        code = 1
        try:
            # Ctrl-C reaches a whole group: here it should come through the parent alone.
            os.setpgid(0, 0)
            for number in _SIGNALS:
                # Until the server listens to it a hangup means nothing, rather than the end.
                hangup = number == getattr(signal, "SIGHUP", None)
                signal.signal(number, signal.SIG_IGN if hangup else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            os.close(pipe[1])
            threading.Thread(target=_end_with_parent, args=(pipe[0],), daemon=True).start()
            self._work(self._sockets[place], place)
            code = 0
        except BaseException as problem:
            fields = {"exception": type(problem).__name__, "places": places(problem.__traceback__)}
            log.error("worker failed", extra={"fields": fields})
        finally:
            sys.stdout.flush()
            os._exit(code)

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        # A terminal that is closed sends SIGHUP too.
        if number == getattr(signal, "SIGHUP", None) and not os.isatty(0):
            self._send(number)
            return
        # The second Ctrl-C does not wait for what was taken in.
        self._send(signal.SIGINT if self._ending and number == signal.SIGINT else signal.SIGTERM)
        self._ending = True

    def _send(self, number: int) -> None:
        for pid in self._places:
            # It may have ended a moment ago.
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _end_with_parent(heartbeat: int) -> None:
    """End this process as SIGTERM does once the parent is gone, however it went."""
    os.read(heartbeat, 1)
    os.kill(os.getpid(), signal.SIGTERM)
