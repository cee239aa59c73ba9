"""One soak from beginning to end: the simulator, the fleet and its users, the faults, the closing."""

from __future__ import annotations

import heapq
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import espressoscope as es
from soak.closing import close_again_and_again, timed_close
from soak.findings import Findings, LogWatch
from soak.ledger import Account, Name
from soak.leftovers import Before
from soak.recordings import Recordings
from soak.recovery import STALL_S, Recoveries, Strike, Watch
from soak.report import Report
from soak.simulation import Simulation
from soak.timetable import Incident, make_timetable
from soak.users import Hands, Looker, Overseer, Reader, SetTaker, Shown, User
from soak.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Plan", "soak"]

_FAMILIES = (
    *("matchboxscope", "matchboxscope", "easytarget", "matchboxscope", "camerawebserver", "matchboxscope"),
    *("esphome", "matchboxscope", "tasmota", "matchboxscope", "camerawebserver", "matchboxscope"),
)
_LONG_S = 300.0
_LONGEST_FAULT_S = 20.0
_LONGEST_FAULT_IN_SHORT_S = 5.0
_SINGLE_PICTURE_S = 8.0
_CLOSING_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    cameras : int
        Even ones are healthy, odd ones are struck.
    seconds : float
        With faults in force.
    seed : int
        Of faults, their times, and what users do.
    record : bool
        Also record all cameras all the time.
    """

    cameras: int
    seconds: float
    seed: int
    record: bool = False

    @property
    def longest_fault_s(self) -> float:
        """Longest a fault lasts."""
        return _LONGEST_FAULT_S if self.seconds >= _LONG_S else _LONGEST_FAULT_IN_SHORT_S

    def wanted(self) -> list[dict[str, Any]]:
        """Arguments for the simulated cameras: healthy and struck ones of every family."""
        dice = random.Random(f"cameras {self.seed}")
        return [
            {
                "firmware": _FAMILIES[index // 2 % len(_FAMILIES)],
                "framesize": "QVGA",
                "fps": dice.choice((10, 12, 15)),
                "number": index,
                "seed": 1_000_000 + self.seed,  # MACs that no other simulator on this machine has
            }
            for index in range(self.cameras)
        ]


@dataclass
class _State:
    """Who is told what the simulator tells."""

    accounts: list[Account] = field(default_factory=list)
    watches: list[Watch] = field(default_factory=list)
    incidents: dict[int, Incident] = field(default_factory=dict)
    told_all: threading.Event = field(default_factory=threading.Event)
    judging: bool = False
    counting: bool = False

    def told(self, line: dict[str, Any]) -> None:
        """Pass on one line."""
        if "began" in line and self.judging:
            incident = self.incidents[line["began"]]
            strike = Strike(incident.fault, incident.options, line["at_ns"] / 1e9)
            self.watches[incident.camera].began(line["began"], strike)
        elif "ended" in line and self.judging:
            watch = self.watches[self.incidents[line["ended"]].camera]
            watch.ended(line["ended"], line["at_ns"] / 1e9, line["hits"])
        elif "sent" in line:
            if self.counting:
                for index, (stream, captured) in line["sent"].items():
                    self.accounts[int(index)].note_sent(Name(*name) for name in stream)
                    self.accounts[int(index)].note_single(Name(*name) for name in captured)
            if line["everything"]:
                self.counting = False
                self.told_all.set()


class _Player(threading.Thread):
    """Has the simulator begin and end the incidents at their times."""

    def __init__(self, simulation: Simulation, incidents: dict[int, Incident]) -> None:
        super().__init__(name="soak-player")
        self._simulation = simulation
        self._over = threading.Event()
        self._moments: list[tuple[float, int, dict[str, Any]]] = []
        for number, incident in incidents.items():
            begin = {
                "begin": number,
                "camera": incident.camera,
                "fault": incident.fault,
                "options": incident.options,
            }
            self._moments.append((incident.begin_s, number, begin))
            self._moments.append((incident.end_s, number, {"end": number}))
        heapq.heapify(self._moments)

    def run(self) -> None:
        """Play until the end, or until stopped: then end what is in force."""
        began_s = time.monotonic()
        in_force: set[int] = set()
        while self._moments:
            at_s, number, command = heapq.heappop(self._moments)
            if self._over.wait(max(0.0, began_s + at_s - time.monotonic())):
                break
            (in_force.discard if "end" in command else in_force.add)(number)
            self._simulation.do(command)
        for number in in_force:
            self._simulation.do({"end": number})

    def stop(self) -> None:
        """End now."""
        self._over.set()
        self.join()


def soak(plan: Plan) -> Report:
    """Run one, and give what came of it."""
    before = Before()
    findings = Findings()
    report = Report(plan.seconds, findings)
    began_s = time.process_time()
    with LogWatch(findings) as log:
        _run(plan, report)
    report.log_lines = log.lines
    report.cpu_s = time.process_time() - began_s
    before.compare(findings)
    return report


def _run(plan: Plan, report: Report) -> None:
    findings = report.findings
    dice = random.Random(plan.seed)
    struck = list(range(1, plan.cameras, 2))
    timetable = make_timetable(dice, struck, plan.seconds, plan.longest_fault_s)
    # Goes on while fleets are closed again and again, without being judged.
    more = make_timetable(dice, struck, _CLOSING_S, 3.0)
    more = [
        each._replace(begin_s=each.begin_s + plan.seconds, end_s=each.end_s + plan.seconds) for each in more
    ]
    state = _State(incidents=dict(enumerate([*timetable, *more])))
    with Simulation(plan.wanted(), state.told) as simulation:
        urls = [camera["url"] for camera in simulation.cameras]
        player = _Player(simulation, state.incidents)
        try:
            fleet = es.Fleet(urls).open()
            try:
                _soak_fleet(plan, report, fleet, state, player, simulation)
            finally:
                report.closes.append(timed_close(fleet.close, "the soaked fleet", findings))
            _end(report.users, findings)
            del fleet
            report.users.clear()
            troubled = [urls[index] for index in struck]
            report.closes += close_again_and_again(urls, troubled, dice, findings)
        finally:
            player.stop()
    if simulation.complaints:
        findings.add("simulator", simulation.complaints)


def _soak_fleet(
    plan: Plan, report: Report, fleet: es.Fleet, state: _State, player: _Player, simulation: Simulation
) -> None:
    findings = report.findings
    names = fleet.names
    if len(names) != plan.cameras:
        raise RuntimeError(f"{plan.cameras} cameras, but the fleet has {len(names)}: {names}")
    healthy = set(names[::2])
    for index, name in enumerate(names):
        # One struck camera gives single pictures, which no fault of streams concerns, but those of captures.
        if index % 2 and simulation.cameras[index]["firmware"] == "camerawebserver":
            fleet[name].set(fps_limit=5)
            report.snapshots.append(name)
            break
    fleet.start()
    state.accounts[:] = [Account(name, lambda line: findings.add("frame", line)) for name in names]
    _wait_for_all(fleet)
    now_s = time.perf_counter()
    report.recoveries = Recoveries()
    state.watches[:] = [
        Watch(
            name,
            now_s,
            report.recoveries,
            lambda line: findings.add("recovery", line),
            _SINGLE_PICTURE_S if name in report.snapshots else STALL_S,
        )
        for name in names
    ]
    state.counting = state.judging = True
    watches = dict(zip(names, state.watches, strict=True))
    shown = Shown()
    view = fleet.view(shown, scale=4)
    overseer = Overseer(fleet, watches, findings)
    looker = Looker(fleet, healthy, findings)
    dice = random.Random(f"hands {plan.seed}")
    hands = Hands(fleet, view, sorted(healthy), dice, overseer, findings)
    sets = SetTaker(fleet, findings)
    readers = [
        Reader(fleet[name], name, name in healthy, account, watches[name], findings)
        for name, account in zip(names, state.accounts, strict=True)
    ]
    report.users = [*readers, overseer, looker, hands, sets]
    if plan.record:
        report.recordings = Recordings(fleet, healthy, findings)
        report.users.append(report.recordings)
    vitals = Vitals(lambda: _counts(fleet, readers, report.recordings))
    vitals.start()
    for user in report.users:
        user.start()
    player.start()
    end = time.monotonic() + plan.seconds
    try:
        while time.monotonic() < end:
            time.sleep(min(1.0, max(0.0, end - time.monotonic())))
            simulation.check()
    finally:
        vitals.stop()
        if report.recordings is not None:
            report.recordings.finish()
        asked_s = time.monotonic()
        simulation.do({"everything": True})
        state.told_all.wait(10)
        time.sleep(1.0)  # what was sent by then arrives
        state.judging = False
        for user in report.users:
            user.ending.set()
    for account in state.accounts:
        account.close(asked_s)
    report.take(fleet, names, healthy, state.accounts, watches, view, shown)
    report.vitals = vitals
    report.memory = vitals.judge(findings)


def _counts(fleet: es.Fleet, readers: Sequence[Reader], recordings: Recordings | None) -> dict[str, int]:
    stats = fleet.stats().values()
    counts = {
        "received": sum(figures.frames for figures in stats),
        "damaged": sum(figures.damaged for figures in stats),
        "reconnects": sum(figures.reconnects for figures in stats),
        "dropped by readers": sum(reader.dropped for reader in readers),
    }
    if recordings is not None:
        counts["dropped by the recorder"] = recordings.dropped
    return counts


def _wait_for_all(fleet: es.Fleet, timeout_s: float = 20.0) -> None:
    end = time.monotonic() + timeout_s
    while not all(frame is not None for frame in fleet.latest().values()):
        if time.monotonic() > end:
            raise RuntimeError(f"not all cameras are live before the first fault: {fleet.messages()}")


def _end(users: Sequence[User], findings: Findings) -> None:
    end = time.monotonic() + 1.0
    for user in users:
        user.join(max(0.0, end - time.monotonic()))
        if user.is_alive():
            findings.add("close", f"{user.name} still waits 1 s after the fleet was closed")
            user.join()
