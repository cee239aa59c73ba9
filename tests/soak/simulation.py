"""The simulator's process as seen from here: what it serves, and what it tells."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

__all__ = ["Simulation"]

_START_S = 60.0
_END_S = 20.0


class Simulation:
    """Runs the simulated cameras while its ``with`` block lasts.

    Parameters
    ----------
    wanted : sequence of dict
        Arguments of `SimulatedCamera`, one dict each.
    told : callable
        Gets every line the simulator says after the first, on a thread of its own.

    Attributes
    ----------
    cameras : list of dict
        ``url``, ``mac`` and ``firmware`` of each.
    complaints : str
        What it wrote to standard error, and what of its lines could not be used.
    """

    def __init__(self, wanted: Sequence[dict[str, Any]], told: Callable[[dict[str, Any]], None]) -> None:
        self.cameras: list[dict[str, str]] = []
        self.complaints = ""
        self._wanted = list(wanted)
        self._told = told
        self._writing = threading.Lock()

    def __enter__(self) -> Simulation:
        tests = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, (tests, os.environ.get("PYTHONPATH"))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soak.simulator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": path},
        )
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="soak-simulation")
        self._errors = threading.Thread(target=self._read_errors, name="soak-simulation-errors")
        self._reader.start()
        self._errors.start()
        self.do(self._wanted)
        if not self._ready.wait(_START_S) or not self.cameras:
            self.__exit__(None, None, None)
            raise RuntimeError(f"the simulator did not start: {self.complaints}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended
            process.stdin.close()
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.complaints += "it did not end by itself"
            process.kill()
            process.wait()
        self._reader.join()
        self._errors.join()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()

    def do(self, command: object) -> None:
        """Have something done; nothing happens when it has ended."""
        with self._writing, contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()

    def check(self) -> None:
        """Make sure that it lives.

        Raises
        ------
        RuntimeError
            It has ended; with what it said.
        """
        code = self._process.poll()
        if code is not None:
            self._errors.join()
            raise RuntimeError(f"the simulator ended with {code}: {self.complaints}")

    def _read(self) -> None:
        assert self._process.stdout is not None
        for text in self._process.stdout:
            try:
                line = json.loads(text)
                if "cameras" in line:
                    self.cameras = line["cameras"]
                    self._ready.set()
                else:
                    self._told(line)
            except Exception as error:  # noqa: BLE001 - unread, the simulator would wait for ever, and all with it
                self.complaints += f"{error!r} at {text[:200]!r}\n"
        self._ready.set()

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for text in self._process.stderr:
            self.complaints = (self.complaints + text)[-10_000:]
