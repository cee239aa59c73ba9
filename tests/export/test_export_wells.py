"""Cameras of a fleet file that stand in wells, recorded and exported: a plate without a word about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import espressoscope as es
from espressoscope.sim import simulate

if TYPE_CHECKING:
    from pathlib import Path


def test_wells_of_the_fleet_file_make_a_plate(tmp_path: Path) -> None:
    file = es.FleetFile.load(tmp_path / "lab.toml")
    with simulate(2, port=0, fps=25, framesize="QQVGA", prerender=True) as cameras:
        for camera, name, well in zip(cameras, ("left", "right"), ("B3", "C4"), strict=True):
            with es.Camera(camera.url) as opened:
                file.add(opened.info, name)
            file.assign(name, "leaves", well, wells=24)
        file.save()
        with es.Fleet.load(tmp_path / "lab.toml") as fleet, fleet.record(tmp_path / "run", frames=5):
            pass
        # A time-lapse is a run as any other: it knows of the wells too.
        lapse = es.TimeLapse(
            es.FleetFile.load(tmp_path / "lab.toml").members.values(),
            every=60,
            count=1,
            burst=2,
            path=tmp_path / "lapse",
            stagger=0,
            force=True,
        )
        points = lapse.run()
        sent = {
            name: {f.jpeg for f in [*camera.sent, *camera.captured]}
            for name, camera in zip(("left", "right"), cameras, strict=True)
        }
    assert (points.state, points.taken) == ("complete", 2)
    for name, frames in (("run", 5), ("lapse", 2)):
        is_a_plate(tmp_path / name, sent, frames)


def is_a_plate(path: Path, sent: dict[str, set[bytes]], frames: int) -> None:
    """Export it, and see that each camera is in its well, with so many frames."""
    run = es.open_run(path)
    assert [(r.info["plate"], r.info["well"]) for r in run.values()] == [("leaves", "B3"), ("leaves", "C4")]
    assert all(frame.jpeg in sent[name] for name, recording in run.items() for frame in recording)
    done = es.export_run(run, "ome-zarr", path.with_suffix(".zarr"))
    plate = json.loads((done.path / "zarr.json").read_text())["attributes"]["ome"]["plate"]
    assert plate["name"] == "leaves"
    assert [well["path"] for well in plate["wells"]] == ["B/3", "C/4"]
    for name, well in (("left", "B/3"), ("right", "C/4")):
        told = json.loads((done.path / well / "0" / "zarr.json").read_text())["attributes"]["espressoscope"]
        assert (told["camera"], told["frames"], told["linked"]) == (name, frames, True)
