"""The alarm: a command of the user's, run when points have been missed.

The command is taken apart into words once, like a shell does, and started without a shell; what happened is
told in environment variables. So nothing that comes from a camera is ever part of a command line.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from espressoscope.errors import CameraError
from espressoscope.recording.moments import iso_utc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from espressoscope.timelapse.ledger import Line

__all__ = ["HOOK_S", "MOST_ALARMS", "Alarm", "words_of"]

HOOK_S: Final = 30.0
"""Longest time a command may take; then it is ended."""
MOST_ALARMS: Final = 256
"""Most calls that wait; more are counted, and told by the next."""
_MOST_VALUE: Final = 300

_log = logging.getLogger(__name__)


def words_of(command: str | Sequence[str], *, windows: bool = sys.platform == "win32") -> list[str]:
    """Take a command apart, or check one that is given in words.

    Parameters
    ----------
    command : str or sequence of str
    windows : bool
        Backslashes are separators of folders.

    Raises
    ------
    ValueError
        It is empty, a quote is open, something else than words, or there is no such program.
    """
    if isinstance(command, str):
        words = _split(command, windows)
    else:
        try:
            words = [os.fspath(word) for word in command]
            "".join(words)  # neither numbers nor bytes
        except TypeError:
            raise ValueError(f"a command is a text, or a list of its words, not {command!r}") from None
    if not words:
        raise ValueError("the command is empty")
    words = [os.path.expanduser(words[0]), *words[1:]]
    if shutil.which(words[0]) is None:
        raise ValueError(f"there is no program {words[0]!r}, or it may not be run")
    return words


def _split(command: str, windows: bool) -> list[str]:
    try:
        words = shlex.split(command, posix=not windows)
    except ValueError as error:
        raise ValueError(f"the command {command!r} cannot be read: {error}") from None
    if windows:  # the quotes are left around words there
        words = [re.sub(r"^([\"'])(.*)\1$", r"\2", word, flags=re.DOTALL) for word in words]
    return words


class Alarm:
    """Runs the command, one call after the other, on a thread of its own.

    Parameters
    ----------
    words : list of str
        From `words_of`.
    run : Path
        Folder of the run, told to the command.

    Raises
    ------
    ValueError
        There are no words.
    CameraError
        The system gives no more threads.

    Attributes
    ----------
    called, failed, dropped : int
        Calls made; those that failed or took too long; those let go because too many were waiting.
    """

    def __init__(self, words: list[str], run: Path) -> None:
        if not words:
            raise ValueError("the command is empty")
        self.called = self.failed = self.dropped = 0
        self._words = words
        self._run = run
        self._waiting: queue.Queue[dict[str, str] | None] = queue.Queue(MOST_ALARMS)
        self._thread = threading.Thread(target=self._work, name="espressoscope-alarm", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise CameraError(
                f"no thread could be started for the command for missed points ({error})",
                hint="This process holds too many files or threads: close what it does not need",
            ) from error

    def missed(self, camera: str, lines: list[Line], in_a_row: int) -> None:
        """Tell of points missed one after the other, in one call."""
        facts = {
            "RUN": str(self._run),
            "CAMERA": camera,
            "POINT": str(lines[0].point),
            "LAST_POINT": str(lines[-1].point),
            "POINTS": str(len(lines)),
            "IN_A_ROW": str(in_a_row),
            "DUE_AT": iso_utc(lines[0].due_ns),
            "REASON": lines[0].reason,
        }
        try:
            self._waiting.put_nowait({f"ESPRESSOSCOPE_{key}": _plain(value) for key, value in facts.items()})
        except queue.Full:
            self.dropped += 1

    def close(self) -> None:
        """Let the calls that wait be made, for as long as one may take; then end."""
        try:
            self._waiting.put(None, timeout=1.0)
        except queue.Full:
            return  # a daemon thread: it ends with the program
        self._thread.join(HOOK_S + 2.0)

    def _work(self) -> None:
        while (facts := self._waiting.get()) is not None:
            self.called += 1
            if not self._call({**facts, "ESPRESSOSCOPE_NOT_TOLD": str(self.dropped)}):
                self.failed += 1

    def _call(self, facts: Mapping[str, str]) -> bool:
        try:
            process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **facts},
                start_new_session=sys.platform != "win32",
            )
        except (OSError, ValueError) as error:
            _log.error("the alarm %s cannot be run: %s", self._words[0], error)
            return False
        try:
            code = process.wait(HOOK_S)
        except subprocess.TimeoutExpired:
            _end(process)
            _log.error("the alarm %s took more than %g s and was ended", self._words[0], HOOK_S)
            return False
        if code:
            _log.error("the alarm %s ended with code %d", self._words[0], code)
        return code == 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and what it has started."""
    try:
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait(5.0)
    except (OSError, subprocess.TimeoutExpired) as error:
        _log.error("an alarm could not be ended: %s", error)


def _plain(value: str) -> str:
    return "".join(c if c.isprintable() else " " for c in value)[:_MOST_VALUE]
