"""What went wrong, and what was logged: every line at WARNING or above must be one that is explained here."""

from __future__ import annotations

import logging
import re
import threading
from collections import Counter

__all__ = ["EXPLAINED", "Findings", "LogWatch"]

_MOST_OF_A_KIND = 8

EXPLAINED: tuple[tuple[str, str], ...] = (
    (r"it keeps sending the same picture, byte for byte", "the fault `frozen`"),
    (r"had lost settings, as a restart does; given again: fps_limit$", "the faults `reboot` and `vanish`"),
)
"""Patterns of log lines at WARNING that may come, and why."""


class Findings:
    """Everything that did not hold; a few of each kind in words, all of them counted. For any thread."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        self.lines: list[str] = []
        self._lock = threading.Lock()

    def add(self, kind: str, line: str) -> None:
        """Note one."""
        with self._lock:
            self.count[kind] += 1
            if self.count[kind] <= _MOST_OF_A_KIND:
                self.lines.append(f"{kind}: {line}")

    @property
    def any(self) -> bool:
        """Whether anything did not hold."""
        return bool(self.count)


class LogWatch(logging.Handler):
    """Reads all that is logged in this process, warnings of Python and uncaught errors of threads included.

    Attributes
    ----------
    lines : collections.Counter
        How often each line came at INFO or above, digits blanked.
    """

    def __init__(self, findings: Findings) -> None:
        super().__init__(logging.INFO)
        self.lines: Counter[str] = Counter()
        self._findings = findings
        self._hook = threading.excepthook

    def __enter__(self) -> LogWatch:
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.INFO)
        logging.captureWarnings(True)
        threading.excepthook = self._uncaught
        return self

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)
        logging.captureWarnings(False)
        threading.excepthook = self._hook

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line; one that nobody has explained is a finding."""
        text = record.getMessage()
        self.lines[f"{record.levelname} {re.sub(r'[0-9]+', '#', text)[:160]}"] += 1
        if record.levelno >= logging.WARNING and not any(re.search(known, text) for known, _ in EXPLAINED):
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self._findings.add("log", f"{record.levelname} {record.name}: {text}\n{trace}".rstrip())

    def _uncaught(self, caught: threading.ExceptHookArgs) -> None:
        name = caught.thread.name if caught.thread else "?"
        trace = logging.Formatter().formatException((caught.exc_type, caught.exc_value, caught.exc_traceback))  # type: ignore[arg-type]
        self._findings.add("uncaught", f"in thread {name}:\n{trace}")
