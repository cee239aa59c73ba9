"""`espressoscope record`, killed or interrupted at a random moment, and what must hold then.

Acknowledged is what `frames_written` of a line of `record --json` counts. A line counts from the moment it is
read here, which is later than it was written: that is to the program's disadvantage only.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import espressoscope as es
from espressoscope.sim import simulate
from recording_support import pages_of
from support import REPO

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from espressoscope.recording.recorded import Recording
    from espressoscope.sim import SimulatedCamera

__all__ = ["Report", "Striker"]

SETTLED_S = 1.5
"""What was acknowledged so long before a kill is a page for everybody."""
END_S = 60.0
"""What has not ended so long after a signal hangs."""
_CAMERAS = 2


@dataclass
class Report:
    """What came of it."""

    struck: int = 0
    acknowledged: int = 0
    found: int = 0
    began: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all that is required held."""
        return not self.problems

    def __str__(self) -> str:
        end = "all that is required held" if self.good else "\n".join(self.problems)
        return (
            f"{self.struck} programs struck, {self.began} of them recording; {self.acknowledged} frames "
            f"acknowledged, {self.found} found: {end}"
        )


class _Recorder:
    """One program that records, and the lines it has written.

    Attributes
    ----------
    hangs : bool
        It had to be ended by force; what it said ends with where each of its threads stood.
    """

    def __init__(self, cameras: list[SimulatedCamera], folder: Path, moment: tuple[bool, float]) -> None:
        self.cameras = cameras
        self.folder = folder
        self.lines: list[tuple[float, dict[str, Any]]] = []
        self.hangs = False
        self._after_first, self._wait_s = moment
        self._began = threading.Event()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        urls = [camera.url for camera in cameras]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "espressoscope", "record", *urls, "-o", str(folder), "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPO / "src"), "PYTHONFAULTHANDLER": "1"},
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as out:
            for text in out:
                if text.endswith("}\n"):
                    self.lines.append((time.monotonic(), json.loads(text)))
                self._began.set()
        self._began.set()

    def strike(self, number: int) -> float:
        """Wait for the moment and send the signal; tell when it was."""
        if self._after_first:
            self._began.wait(30)
        time.sleep(self._wait_s)
        when = time.monotonic()
        self.process.send_signal(number)
        return when

    def end(self) -> str:
        """Wait for its end, and end it where it does not come; give what it said."""
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.hangs = True
            self.process.send_signal(signal.SIGABRT)  # faulthandler answers by telling where it stands
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join()
        with self._errors as errors:
            errors.seek(0)
            return errors.read().decode(errors="replace")


class Striker:
    """Strikes programs, several side by side.

    Parameters
    ----------
    folder : Path
        For the runs; they are removed again.
    seed : int
        Same seed, same moments.
    kill : bool
        kill -9; otherwise Ctrl-C.
    """

    def __init__(self, folder: Path, seed: int, *, kill: bool) -> None:
        self._folder = folder
        self._random = random.Random(seed)
        self._kill = kill
        self.report = Report()
        self._lock = threading.Lock()

    def strike(self, times: int, at_once: int, tell: Callable[[str], object] = lambda text: None) -> Report:
        """Strike so many."""
        with simulate(at_once * _CAMERAS, port=0, fps=25, framesize="QVGA", prerender=True) as cameras:
            for first in range(0, times, at_once):
                threads = []
                for place in range(min(at_once, times - first)):
                    own = cameras[place * _CAMERAS : (place + 1) * _CAMERAS]
                    folder = self._folder / f"run-{first + place}"
                    moment = (True, self._random.uniform(0.0, 3.0))
                    if place == 0:  # also while it is starting
                        moment = (False, self._random.uniform(0.2, 2.5))
                    threads.append(threading.Thread(target=self._one, args=(own, folder, moment)))
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(180)
                tell(str(self.report).partition(":")[0])
        return self.report

    def _one(self, cameras: list[SimulatedCamera], folder: Path, moment: tuple[bool, float]) -> None:
        recorder = _Recorder(cameras, folder, moment)
        try:
            struck = recorder.strike(signal.SIGKILL if self._kill else signal.SIGINT)
        finally:
            errors = recorder.end()
        problems: list[str] = []
        try:
            if recorder.hangs:
                problems.append(f"it had not ended {END_S:.0f} s after the signal:\n{errors}")
            elif self._kill:
                self._after_kill(recorder, struck, problems)
            else:
                self._after_interrupt(recorder, errors, problems)
        except Exception as error:  # noqa: BLE001 (a thread's boundary: whatever it is, it is a problem)
            problems.append(repr(error))
        with self._lock:
            self.report.struck += 1
            self.report.problems += [f"{folder.name}, {moment}: {each}" for each in problems]
        if not problems:
            shutil.rmtree(folder, ignore_errors=True)

    def _after_kill(self, recorder: _Recorder, killed: float, problems: list[str]) -> None:
        folder = recorder.folder
        acknowledged: dict[str, int] = {}
        settled: dict[str, int] = {}
        for when, line in recorder.lines:
            name, count = line["camera"], line["frames_written"]
            acknowledged[name] = max(acknowledged.get(name, 0), count)
            if when < killed - SETTLED_S:
                settled[name] = max(settled.get(name, 0), count)
        if not (folder / "run.json").exists():
            if acknowledged:
                problems.append("frames were acknowledged, and there is no run")
            return
        # Before anything of ours has looked at it.
        pages = {path: pages_of(path) for path in sorted(folder.glob("*/*.tif"))}
        problems += [f"{path.name} has no page" for path, found in pages.items() if not found]
        run = es.open_run(folder)
        for name, recording in run.items():
            there = sum(len(found) for path, found in pages.items() if path.parent == recording.folder)
            if there < settled.get(name, 0):
                problems.append(f"{name}: {settled[name]} acknowledged {SETTLED_S} s before, {there} pages")
            if len(recording) < acknowledged.get(name, 0):
                problems.append(f"{name}: {acknowledged[name]} acknowledged, {len(recording)} found")
        if set(acknowledged) - set(run):
            problems.append(f"cameras are missing: {set(acknowledged) - set(run)}")
        es.repair_run(folder)
        run = es.open_run(folder)
        for name, recording in run.items():
            self._is_whole(recording, recorder, acknowledged.get(name, 0), problems)
        if any(each.segments or each.lines for each in es.repair_run(folder)):
            problems.append("the second repair found something to do")
        with self._lock:
            self.report.began += bool(acknowledged)
            self.report.acknowledged += sum(acknowledged.values())
            self.report.found += sum(len(recording) for recording in run.values())

    def _after_interrupt(self, recorder: _Recorder, errors: str, problems: list[str]) -> None:
        folder = recorder.folder
        code = recorder.process.returncode
        # Before the program has said what Ctrl-C means to it, that is Python's to say: -2, or 1 and a
        # traceback that has not come by way of `Ending`.
        pythons = code == 1 and "KeyboardInterrupt" in errors and "in _note" not in errors
        early = (code in (-signal.SIGINT, 130) or pythons) and not recorder.lines
        if code != 0 and not early:
            problems.append(f"exit code {code}: {errors.strip()}")
        if "Traceback" in errors and not early:
            problems.append(errors)
        if not (folder / "run.json").exists():
            if recorder.lines:
                problems.append("there is no run")
            return
        state = json.loads((folder / "run.json").read_text(encoding="utf-8"))["state"]
        if state != "closed" and not early:
            problems.append(f"the run is {state!r}")
        left = [path.name for path in folder.rglob("*") if path.name in ("lock", "reserve")]
        if left or list(folder.rglob("*.new")):
            problems.append(f"left behind: {left}")
        last = {line["camera"]: line["frames_written"] for _, line in recorder.lines}
        for name, recording in es.open_run(folder).items():
            if len(recording):
                self._is_whole(recording, recorder, last.get(name, 0), problems)
        with self._lock:
            self.report.began += bool(last)
            self.report.acknowledged += sum(last.values())
            self.report.found += sum(len(each) for each in es.open_run(folder).values())

    def _is_whole(self, recording: Recording, recorder: _Recorder, least: int, problems: list[str]) -> None:
        """Every frame is a page for everybody, in order, as its camera sent it, and has its line."""
        frames = [frame.jpeg for frame in recording]
        if len(frames) < least:
            problems.append(f"{recording.name}: {least} acknowledged, {len(frames)} found")
        if not frames:
            return
        if not all(segment.contents.closed for segment in recording.segments):
            problems.append(f"{recording.name}: a segment is not closed")
        if [page for segment in recording.segments for page in pages_of(segment.path)] != frames:
            problems.append(f"{recording.name}: other readers find other pages")
        (camera,) = [each for each in recorder.cameras if each.mac == recording.info["mac"]]
        sent = [each.jpeg for each in camera.sent]
        starts = [place for place, each in enumerate(sent) if each == frames[0]]
        if not any(sent[start : start + len(frames)] == frames for start in starts):
            problems.append(f"{recording.name}: not what the camera sent")
        lines = (recording.folder / "frames.csv").read_text(encoding="utf-8").splitlines()
        if sum(line[:1].isdigit() for line in lines) != len(recording.records):
            problems.append(f"{recording.name}: {len(lines)} lines for {len(frames)} frames")
