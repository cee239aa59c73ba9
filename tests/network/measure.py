"""What one camera's consumer sees of a bad network, and whether any of it is false."""

from __future__ import annotations

import itertools
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espressoscope.sim import read_strip
from network.far import digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    import espressoscope as es

PATIENCE_S = 120.0  # for a frame; longer than any scenario


class Watch:
    """Takes every frame of a camera, on a thread, and notes its state fifty times a second.

    Parameters
    ----------
    camera : es.Camera
        An open one.
    number : int
        What its strips must say.
    """

    def __init__(self, camera: es.Camera, number: int) -> None:
        self.camera = camera
        self.number = number
        self.got: list[tuple[int, str, int, str, int | None, int | None]] = []
        self.states: list[tuple[float, str, str]] = []
        self._over = threading.Event()
        self._frames = camera.stream(timeout=PATIENCE_S, damaged=True, buffer=64)
        self._threads = [threading.Thread(target=work) for work in (self._take, self._note)]
        for thread in self._threads:
            thread.start()

    def _take(self) -> None:
        with self._frames as frames:
            for frame in frames:
                strip = None
                if frame.status in ("ok", "duplicate"):
                    strip = read_strip(frame.image(gray=True))
                self.got.append(
                    (
                        frame.sequence,
                        frame.status,
                        frame.received_ns,
                        digest(frame.jpeg),
                        *((strip.camera, strip.frame) if strip else (None, None)),
                    )
                )
                if self._over.is_set():
                    return

    def _note(self) -> None:
        while not self._over.wait(0.02):
            state = str(self.camera.stats.state)
            if not self.states or self.states[-1][1] != state:
                self.states.append((time.time(), state, self.camera.message))

    def first_after(self, moment_ns: int, timeout_s: float) -> float | None:
        """Wait for a whole frame received after a moment; gives the seconds from there to it, or None."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            later = [one[2] for one in self.got[-2000:] if one[1] == "ok" and one[2] > moment_ns]
            if later:
                return (min(later) - moment_ns) / 1e9
            time.sleep(0.02)
        return None

    def until(self, *states: str, timeout_s: float = 40.0) -> float | None:
        """Wait for one of these states; gives how long that took, or None."""
        begun = time.monotonic()
        while time.monotonic() < begun + timeout_s:
            if self.camera.stats.state in states:
                return time.monotonic() - begun
            time.sleep(0.02)
        return None

    def stop(self) -> None:
        self._over.set()
        self._frames.close()
        for thread in self._threads:
            thread.join(10)

    def report(
        self, taken: Sequence[Sequence[Any]], begun_ns: int, ended_ns: int, fps: float
    ) -> dict[str, Any]:
        """Judge what came, all of it, against what the camera noted; the figures are of the time between.

        Parameters
        ----------
        taken : sequence of [number, time in ns, digest, whole]
            The camera's notes.
        fps : float
            Frames a second on a good line.
        """
        within = [one for one in self.got if begun_ns <= one[2] <= ended_ns]
        whole = [one for one in within if one[1] in ("ok", "duplicate")]
        false, late = self._judge(taken)
        ages = sorted(late[one[0]] for one in whole if one[0] in late)
        seconds = (ended_ns - begun_ns) / 1e9
        times = [begun_ns, *(one[2] for one in whole), ended_ns]
        stats = self.camera.stats
        return {
            "camera": self.number,
            "seconds": seconds,
            "frames": len(whole),
            "fps": len(whole) / seconds,
            "share": len(whole) / (fps * seconds),
            "age_p50_s": _part(ages, 0.5),
            "age_p99_s": _part(ages, 0.99),
            "gap_s": max(b - a for a, b in itertools.pairwise(times)) / 1e9,
            "broken": len(within) - len(whole),
            "false": false,
            "reconnects": stats.reconnects,
            "damaged": stats.damaged,
            "dropped": stats.dropped,
            "states": sorted({state for at, state, _ in self.states if at >= begun_ns / 1e9}),
            "words": sorted({words.partition(";")[0] for _, _, words in self.states if words}),
        }

    def _judge(self, taken: Sequence[Sequence[Any]]) -> tuple[list[str], dict[int, float]]:
        """Find what was told and is not so; and the age of each whole frame on arrival, by sequence."""
        false: list[str] = []
        ages: dict[int, float] = {}
        notes: dict[str, list[Sequence[Any]]] = {}
        for note in taken:
            notes.setdefault(note[2], []).append(note)
        last_sequence = last_taken = -1
        for sequence, status, received_ns, name, camera, number in self.got:
            if sequence <= last_sequence:
                false.append(f"frame {sequence} after {last_sequence}")
            last_sequence = sequence
            if status not in ("ok", "duplicate"):
                continue
            if camera != self.number:
                false.append(f"frame {sequence}: its strip says camera {camera}, not {self.number}")
            sent = [note for note in notes.get(name, ()) if note[1] <= received_ns + 5_000_000]
            if not sent:
                false.append(f"frame {sequence}, told as {status}: the camera never sent these bytes")
                continue
            note = sent[-1]
            if number != note[0] & 0xFFFF:
                false.append(f"frame {sequence}: its strip says {number}, the camera sent {note[0]}")
            if note[1] < last_taken or (note[1] == last_taken and status == "ok"):
                false.append(f"frame {sequence} is older than the one before, or the same")
            last_taken = note[1]
            ages[sequence] = (received_ns - note[1]) / 1e9
        return false, ages


def _part(values: list[float], part: float) -> float | None:
    return values[min(len(values) - 1, int(part * len(values)))] if values else None


def peak_mb() -> float:
    """Give the most memory this program has had, in megabytes."""
    # Not from getrusage: the kernel counts into ru_maxrss what the process that started this one held.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024
