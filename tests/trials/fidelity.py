"""Every byte: what many cameras sent, and what is in the recording."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.sim import simulate

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Fidelity", "every_byte"]

LATE_S = 0.8
"""A frame on its way for 0.5 s at most, and what a recording takes to notice that its time is over."""


@dataclass
class Fidelity:
    """What came of it."""

    cameras: int
    frames: int = 0
    bytes: int = 0
    dropped: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all of it is there."""
        return not self.problems and not self.dropped

    def __str__(self) -> str:
        end = "every byte is there" if self.good else "\n".join(self.problems)
        return (
            f"{self.frames} frames, {self.bytes / 1e6:.0f} MB of {self.cameras} cameras, "
            f"{self.dropped} dropped: {end}"
        )


def every_byte(folder: Path, cameras: int, fps: float, seconds: float, framesize: str) -> Fidelity:
    """Record simulated cameras, and compare each JPEG with what each camera remembers to have sent."""
    told = Fidelity(cameras)
    with simulate(cameras, port=0, fps=fps, framesize=framesize, prerender=True, keep="all") as sims:
        with (
            es.Fleet([sim.url for sim in sims]) as fleet,
            fleet.record(folder, seconds=seconds) as recorder,
        ):
            recorder.wait()
            ended_ns = time.time_ns()
            ended_at = {sim.mac: len(sim.sent) for sim in sims}
        told.dropped = recorder.frames_dropped
        sent = {sim.mac: [each.jpeg for each in sim.sent] for sim in sims}
    run = es.open_run(folder)
    if len(run) != cameras:
        told.problems.append(f"{len(run)} cameras instead of {cameras}")
    for name, recording in run.items():
        got = [frame.jpeg for frame in recording.records]
        numbers = [frame.sequence for frame in recording.records]
        there = sent[recording.info["mac"]]
        told.frames += len(got)
        told.bytes += sum(map(len, got))
        if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            told.problems.append(f"{name}: sequence numbers leave some out")
        if recorder.progress[name].missing:
            told.problems.append(f"{name}: frames are missing")
        starts = [place for place, each in enumerate(there) if each == got[0]]
        starts = [place for place in starts if there[place : place + len(got)] == got]
        if not starts:
            told.problems.append(f"{name}: not what the camera sent")
            continue
        lacking = ended_at[recording.info["mac"]] - starts[-1] - len(got)
        early_s = (ended_ns - recording.records[-1].received_ns) / 1e9
        if lacking > LATE_S * fps or early_s > LATE_S:
            told.problems.append(f"{name}: ends {early_s:.2f} s, {lacking} frames early")
    return told
