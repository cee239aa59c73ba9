"""Simulated cameras as a program of their own: they take nothing from the thread that draws. No Qt here."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Final

import espressoscope as es

__all__ = ["Simulator"]

START_S: Final = 30.0
"""Longest wait until the cameras answer: a slow disk reads Python and numpy for some seconds."""
END_S: Final = 1.0
"""Longest wait for the program's end, before it is killed."""


class Simulator:
    """Simulated cameras on free ports of this computer, until `close`.

    Parameters
    ----------
    count : int
        How many.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._closed = False

    def start(self) -> list[str]:
        """Start them, and give their addresses; blocks for a moment.

        Raises
        ------
        CameraError
            They did not start.
        """
        command = [sys.executable, "-m", "espressoscope", "simulate", "-n", str(self.count)]
        command += ["--port", "0", "--json", "--exit-with-parent"]
        with self._lock:
            if self._closed:
                return []
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
            )
        watchdog = threading.Timer(START_S, process.kill)
        watchdog.daemon = True
        watchdog.name = "espressoscope-napari-simulator"
        watchdog.start()
        try:
            assert process.stdout is not None
            urls: list[str] = []
            while len(urls) < self.count and (line := process.stdout.readline()):
                urls.append(str(json.loads(line)["url"]))
        finally:
            watchdog.cancel()
            watchdog.join()
        if len(urls) < self.count and not self._closed:
            self.close()
            raise es.CameraError(
                "the simulated cameras did not start",
                hint=f"Try it in a terminal: espressoscope simulate -n {self.count}",
            )
        return urls

    def close(self) -> None:
        """End them; twice does nothing."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_S)
        if process.stdout is not None:
            process.stdout.close()
