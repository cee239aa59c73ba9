"""A camera whose address changes during a time-lapse is found again by its MAC, and keeps its name."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def free_ports(count: int) -> list[int]:
    """Give ports that a search on this computer asks, each with the next one free too."""
    free = []
    for port in range(8110, 8174, 2):
        try:
            for each in (port, port + 1):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        free.append(port)
    return free[:count]


def camera_at(port: int) -> SimulatedCamera:
    return SimulatedCamera(port=port, number=7, fps=20, framesize="QVGA", side_delays=False)


def test_a_moved_camera_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPRESSOSCOPE_FLEET", str(tmp_path / "lab.toml"))
    before, after = free_ports(2)
    seen: list[str] = []
    with camera_at(before) as simulated:
        file = es.FleetFile.load(tmp_path / "lab.toml")
        file.add(simulated.info, "A1")
        file.assign("A1", "leaf", "B3", wells=24)
        file.save()
        lapse = es.TimeLapse(
            "A1", "1s", path=tmp_path / "run", force=True, window="1s",
            on_point=lambda name, line: seen.append(f"{name} {line.outcome}"),
        )  # fmt: skip
        lapse.prepare()
        worker = threading.Thread(target=lapse.run)
        worker.start()
        try:
            wait_until(lambda: seen.count("A1 taken") >= 2, 20)
        except BaseException:
            lapse.stop()
            raise
    with camera_at(after) as moved:
        try:
            taken = seen.count("A1 taken")
            wait_until(lambda: seen.count("A1 taken") >= taken + 2, 40)
        finally:
            lapse.stop()
            worker.join(30)
        run = es.open_run(tmp_path / "run")
        assert run["A1"].info["url"] == moved.url
        assert (run["A1"].info["plate"], run["A1"].info["well"]) == ("leaf", "B3")
        assert run["A1"][-1].jpeg in {each.jpeg for each in moved.captured}
        assert lapse.status().state == "stopped"
