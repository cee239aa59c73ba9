"""The live view for hours: 24 cameras in napari, half of them struck by every fault, and nothing grows.

    python -m tests.soak.napari_live --minutes 60

Prints memory, threads, open files, timers, Qt objects and layers over time, what the user's hands did
meanwhile, and the longest time the window did not answer (a figure, not a judgement). Exit code 1 when
something grew, a healthy camera's tile was stale, something was logged that should not be, or something is
left in the end.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import sys
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if __name__ == "__main__":
    os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
    # Where `soak` and `support` are.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from soak.findings import Findings, LogWatch
from soak.run import Plan, _Player
from soak.simulation import Simulation
from soak.timetable import make_timetable
from soak.vitals import resident

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Sample", "judge"]

SAMPLE_S = 1.0
STALE_S = 5.0
"""A healthy camera's newest picture may be so old."""
IN_VIEW_S = 2.0
"""After this a healthy camera that has come into view is looked at."""
LONGEST_START_S = 90.0
GROWTH = 1.05
"""Of resident memory, from the first tenth after warming up to the last."""
LONG_S = 300.0
"""Memory is judged in runs so long: before, caches are still filling."""
_MORE = {"threads": 2, "files": 12, "timers": 2, "objects": 40, "layers": 2}
"""What may be there more at the end than after warming up: cameras that are just being connected again, words
that are just being shown."""


class Sample(NamedTuple):
    """What there is at one moment."""

    at_s: float
    memory: int
    threads: int
    files: int
    timers: int
    objects: int
    layers: int


def judge(samples: Sequence[Sample], findings: Findings, seconds: float) -> list[str]:
    """Note what has grown; give a line for each quantity.

    Memory by medians of a tenth of the time. What is counted by the most there was in the first and the last
    quarter, but for one sample in twenty: it is less while the user's hands have switched live off, and for a
    second twice as much when they switch it on and every camera is asked who it is.
    """
    warm = [each for each in samples if each.at_s >= seconds / 5]
    part = max(1, len(warm) // 10)
    if len(warm) < 2 * part:
        findings.add("samples", f"only {len(warm)}")
        return []
    lines = []
    for name in Sample._fields[1:]:
        if name == "memory":
            typical: Callable[[Iterable[float]], float] = statistics.median
            begin, end = warm[:part], warm[-part:]
        else:
            typical, begin, end = _most, warm[: len(warm) // 4 + 1], warm[-len(warm) // 4 :]
        first, last = (typical(getattr(each, name) for each in some) for some in (begin, end))
        limit = first * GROWTH if name == "memory" else first + _MORE[name]
        unit = 1e6 if name == "memory" else 1
        lines.append(f"{name}: {first / unit:.1f} after warming up, {last / unit:.1f} at the end")
        if last > limit and (name != "memory" or seconds >= LONG_S):
            findings.add(name, f"grew from {first / unit:.1f} to {last / unit:.1f}")
    return lines


def _most(values: Iterable[float]) -> float:
    counted = sorted(values)
    return counted[(len(counted) - 1) * 19 // 20]


class OurLog(LogWatch):
    """Reads what Espressoscope logs; what napari and its libraries say is theirs."""

    def emit(self, record: logging.LogRecord) -> None:
        """Count a line of ours."""
        if record.name.startswith("espressoscope"):
            super().emit(record)


class Stage:
    """A viewer with the widget, the hands of a user, and what is measured."""

    def __init__(self, findings: Findings, dice: random.Random, seconds: float) -> None:
        import napari
        from qtpy.QtCore import QTimer

        from espressoscope.napari_plugin.sample_data import open_widget

        self.findings = findings
        self.samples: list[Sample] = []
        self.done: Counter[str] = Counter()
        self.longest_gap_s = self.longest_age_s = 0.0
        self._dice = dice
        self._seconds = seconds
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1500, 1000)
        self.widget = open_widget(self.viewer)
        self._kind = QTimer
        self._beat = time.monotonic()
        self._held_up_s = 0.0

    def spin(self, condition: Callable[[], object], timeout_s: float) -> bool:
        """Let the window live until something is so; false when it never was."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + timeout_s
        self._beat = time.monotonic()
        while not condition():
            now = time.monotonic()
            self.longest_gap_s = max(self.longest_gap_s, now - self._beat)
            self._held_up_s = max(self._held_up_s, now - self._beat)
            if now > end:
                return False
            QApplication.processEvents()
            self._beat = now
            time.sleep(0.002)
        return True

    def watch(self, began: float, healthy: Sequence[str], check: Callable[[], None]) -> None:
        """Measure, and look on, until the time is over; `check` raises when there is nothing to look at."""
        next_sample, next_act = 0.0, 3.0
        look_from_s = 0.0

        def look() -> bool:
            nonlocal next_sample, next_act, look_from_s
            at_s = time.monotonic() - began
            if at_s >= next_act:
                # What comes into view is new with the next refresh, and not before it.
                look_from_s = max(look_from_s, at_s + (2 * STALE_S if self._act() else IN_VIEW_S))
                next_act = at_s + self._dice.uniform(1.0, max(1.5, self._seconds / 60))
            if at_s >= next_sample:
                next_sample = at_s + min(SAMPLE_S, self._seconds / 20)
                check()
                self._sample(at_s)
                if self.widget.session.live and at_s > look_from_s:
                    self._look(healthy)
            return at_s >= self._seconds

        self.spin(look, self._seconds + 60)

    def _sample(self, at_s: float) -> None:
        widgets = self.widget.findChildren(self._kind)
        sample = Sample(
            at_s,
            resident(),
            threading.active_count(),
            len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
            sum(timer.isActive() for timer in widgets),
            len(self.widget.children()) + len(self.widget.screen.children()),
            len(self.viewer.layers),
        )
        if not self.samples or int(at_s / 60) > int(self.samples[-1].at_s / 60):
            print(
                f"{at_s / 60:5.1f} min: {sample.memory / 1e6:.1f} MB, {sample.threads} threads, "
                f"{sample.files} files, {sample.timers} timers, {sample.objects} objects, "
                f"{sample.layers} layers, {self.widget.screen.passes} passes",
                flush=True,
            )
        self.samples.append(sample)

    def _look(self, healthy: Sequence[str]) -> None:
        # A machine with other things to do is no fault of the view; that it had is forgotten slowly.
        limit_s = STALE_S + 4 * self._held_up_s
        self._held_up_s *= 0.95
        for name in healthy:
            if not self.widget.screen.sees(name):
                continue
            age_s = self.widget.screen.shown_age_s(name)
            if age_s is None or age_s > limit_s:
                at_s, seen = self.samples[-1].at_s, self.widget.screen.passes
                self.findings.add(
                    "stale", f"{name}, at {at_s:.0f} s, pass {seen}: its picture is {age_s} s old"
                )
            else:
                self.longest_age_s = max(self.longest_age_s, age_s)

    def _act(self) -> bool:
        """Do something a user does; true when streams are asked for anew."""
        widget, screen = self.widget, self.widget.screen
        what = self._dice.choice(("zoom", "fit", "tab", "pin", "live", "choose"))
        self.done[what] += 1
        if what == "zoom":
            self.viewer.scene.camera.zoom *= self._dice.choice((0.5, 0.7, 1.5, 2.0))
        elif what == "fit":
            screen.fit()
        elif what == "tab":
            widget.tabs.setCurrentIndex(self._dice.randrange(widget.tabs.count()))
        elif what == "pin":
            for name in screen.pinned or [self._dice.choice(widget.session.names)]:
                screen.pin(name, name not in screen.pinned)
        elif what == "choose":
            widget.table.selectRow(self._dice.randrange(len(widget.session.names)))
        elif not widget.session.live or self._dice.random() < 0.3:
            widget.live.click()
            return True
        return False

    def close(self) -> None:
        """Close widget and viewer, and note what is left."""
        session = self.widget.session
        self.viewer.window.remove_dock_widget(self.widget)
        if not session.wait_closed(10):
            self.findings.add("left", "the session has not ended after 10 s")
        if not self.spin(lambda: not self.viewer.layers, 10):
            self.findings.add("left", f"layers: {[layer.name for layer in self.viewer.layers]}")
        self.viewer.close()
        gc.collect()

        def ours() -> list[str]:
            return [each.name for each in threading.enumerate() if each.name.startswith("espressoscope")]

        if not self.spin(lambda: not ours(), 10):
            self.findings.add("left", f"threads: {ours()}")


def soak(cameras: int, seconds: float, seed: int) -> int:
    """Run one, and print what came of it; give the exit code."""
    findings, dice = Findings(), random.Random(seed)
    plan = Plan(cameras, seconds, seed)
    struck = list(range(1, cameras, 2))
    incidents = dict(enumerate(make_timetable(dice, struck, seconds, plan.longest_fault_s)))
    with Simulation(plan.wanted(), lambda line: None) as simulation:
        urls = [camera["url"] for camera in simulation.cameras]
        stage = Stage(findings, dice, seconds)
        session = stage.widget.session
        session.add(urls)
        screen = stage.widget.screen
        if not stage.spin(
            lambda: (
                len(session.names) == cameras
                and screen.passes > 3
                and all(screen.shown_age_s(name) is not None for name in session.names)
            ),
            LONGEST_START_S,
        ):
            findings.add("start", f"not all cameras are live: {session.names}")
        stage.longest_gap_s = 0.0
        by_url = (
            {} if session.fleet is None else {each.info.url: name for name, each in session.fleet.items()}
        )
        healthy = [by_url[url] for url in urls[::2] if url in by_url]
        player = _Player(simulation, incidents)
        player.start()
        try:
            with OurLog(findings) as log:
                stage.watch(time.monotonic(), healthy, simulation.check)
                lines = judge(stage.samples, findings, seconds)
                stage.close()
        finally:
            player.stop()
    print(f"{len(incidents)} faults; done: {dict(stage.done)}; {screen.passes} passes of the screen")
    print(f"longest gap of the window {1000 * stage.longest_gap_s:.0f} ms, ", end="")
    print(f"oldest picture of a healthy camera {stage.longest_age_s:.1f} s")
    print("\n".join(lines))
    for line, count in log.lines.most_common(10):
        print(f"logged x{count}: {line}")
    if findings.any:
        print("DID NOT HOLD:", *findings.lines, f"in all: {dict(findings.count)}", sep="\n")
        return 1
    print(f"Held for {seconds:g} s: nothing grew, nothing is left.")
    return 0


def _let_go() -> None:
    """Have Qt delete what is to be deleted, and Python what nobody holds.

    There was no event loop of Qt's own to do the former. What is left for the interpreter's end PyQt 6.11
    goes through by a list whose next it reads from wrappers it has just freed (cleanup_qobject, called by
    sip_api_visit_wrappers): with the memory settings of a soak half of the runs ended by SIGSEGV.
    """
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    gc.collect()


def main() -> int:
    """Read the command line, open a screen where there is none, run."""
    parser = argparse.ArgumentParser("python -m tests.soak.napari_live", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cameras", type=int, default=24, help="half of them have faults")
    parser.add_argument("--seed", type=int, default=None, help="same seed, same faults and hands")
    asked = parser.parse_args()
    seed = random.randrange(1 << 31) if asked.seed is None else asked.seed
    print(f"seed {seed}", flush=True)
    from napari_support import open_screen

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what napari's libraries warn of is theirs
        if "DISPLAY" not in os.environ and (problem := open_screen()):
            print(problem, file=sys.stderr)
            return 1
        code = soak(asked.cameras, 60 * asked.minutes, seed)
        _let_go()
        return code


if __name__ == "__main__":
    from soak.__main__ import _KEEP_NOTHING

    if sys.platform == "linux" and "GLIBC_TUNABLES" not in os.environ:
        os.environ["GLIBC_TUNABLES"] = _KEEP_NOTHING  # read when a process begins
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    sys.exit(main())
