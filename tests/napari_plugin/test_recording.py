"""Recording from the widget: what is on the disk is what the cameras sent, however the recording ends."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.record_panel import RecordPanel
from espressoscope.napari_plugin.run_follower import LEFT as RECORDED_SO_FAR
from espressoscope.napari_plugin.run_names import default_name, next_name, run_path
from espressoscope.napari_plugin.session import LiveSession
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[sim.SimulatedCamera]]:
    with sim.simulate(3, port=0, framesize="QVGA", fps=12, prerender=True) as running:
        yield running


@pytest.fixture
def panel(widget: LiveWidget, cameras: list[sim.SimulatedCamera], qtbot: Any, tmp_path: Path) -> RecordPanel:
    """The panel in front, with three cameras live and a folder of its own."""
    panel = next(each for each in map(widget.tabs.widget, range(5)) if isinstance(each, RecordPanel))
    widget.tabs.setCurrentWidget(panel)
    assert not panel.record.isEnabled()
    widget.session.add([camera.url for camera in cameras])
    qtbot.waitUntil(lambda: len(widget.session.names) == 3 and panel.record.isEnabled(), timeout=PATIENCE_MS)
    qtbot.keyClicks(panel.folder, str(tmp_path))
    return panel


def names_of(panel: RecordPanel, cameras: list[sim.SimulatedCamera]) -> list[str]:
    """Give the names the cameras have here, in the order of their numbers."""
    fleet = panel._session.fleet
    assert fleet is not None
    by_url = {fleet[name].info.url: name for name in fleet.names}
    return [by_url[camera.url] for camera in cameras]


def start(panel: RecordPanel, qtbot: Any) -> None:
    qtbot.mouseClick(panel.record, LEFT)
    assert panel.recording
    qtbot.waitUntil(lambda: bool(panel.figures and panel.figures.frames), timeout=PATIENCE_MS)


def stop(panel: RecordPanel, qtbot: Any) -> None:
    qtbot.mouseClick(panel.record, LEFT)
    qtbot.waitUntil(lambda: not panel.recording, timeout=PATIENCE_MS)


def assert_unbroken(recording: Any, camera: sim.SimulatedCamera) -> None:
    """It is every frame the camera sent from the first to the last of it, byte for byte."""
    got, sent = [frame.jpeg for frame in recording], [each.jpeg for each in camera.sent]
    assert got
    starts = [place for place, each in enumerate(sent) if each == got[0]]
    assert any(sent[place : place + len(got)] == got for place in starts)


def test_recording_goes_on_with_live_off_and_a_camera_that_dies(
    widget: LiveWidget,
    panel: RecordPanel,
    cameras: list[sim.SimulatedCamera],
    qtbot: Any,
    tmp_path: Path,
) -> None:
    names = names_of(panel, cameras)
    tab = widget.tabs.indexOf(panel)
    qtbot.keyClicks(panel.name, "plate 07")
    start(panel, qtbot)
    assert "●" in widget.tabs.tabText(tab)
    assert not panel.name.isEnabled()
    widget.table.selectRow(1)
    assert panel.whom.currentText() == "all 3 cameras", "it tells what is done, not what might be"
    qtbot.mouseClick(widget.live, LEFT)
    with cameras[2].fault("vanish"):
        figures = panel.figures
        assert figures is not None
        seen = figures.cameras[names[0]].progress.frames_written
        qtbot.waitUntil(
            lambda: (
                panel.figures.cameras[names[0]].progress.frames_written > seen + 12
                and panel.figures.cameras[names[2]].state != "live"
                and panel._lines[names[2]].text(5) != ""
            ),
            timeout=PATIENCE_MS,
        )
        assert panel._lines[names[0]].text(5) == ""
    assert "Recording to" in panel.words.text()
    assert "room for" in panel.room.text()
    stop(panel, qtbot)
    assert panel.words.text().startswith("Recorded ")
    assert panel.name.text() == "plate 08"
    assert "●" not in widget.tabs.tabText(tab)

    run = es.open_run(tmp_path / "plate 07")
    assert run.info["state"] == "closed"
    assert list(run) == names
    for name, camera in zip(names[:2], cameras, strict=False):
        assert_unbroken(run[name], camera)
        assert len(run[name]) == panel.figures.cameras[name].progress.frames_written
    # Live is off: nobody takes their frames any more.
    fleet = widget.session.fleet
    assert fleet is not None
    qtbot.waitUntil(
        lambda: {stats.state for stats in fleet.stats().values()} == {"stopped"}, timeout=PATIENCE_MS
    )


def test_chosen_cameras_with_the_seconds_before_and_an_end_by_frames(
    widget: LiveWidget, panel: RecordPanel, cameras: list[sim.SimulatedCamera], qtbot: Any, tmp_path: Path
) -> None:
    name = names_of(panel, cameras)[1]
    widget.session.set_look(name, Look(pixel_um=1.5))
    panel.whom.setCurrentIndex(1)
    qtbot.mouseClick(panel.record, LEFT)
    assert "no camera is chosen" in panel.words.text()
    assert not panel.recording

    panel.before.setValue(30)
    widget.table.selectRow(widget.table.cameras.row(name))
    assert panel.whom.currentText() == "the 1 chosen in the table"
    assert panel.whom.names == [name]
    fleet = widget.session.fleet
    assert fleet is not None
    qtbot.waitUntil(
        lambda: panel._kept is not None and panel._kept.kept[name].frames > 6, timeout=PATIENCE_MS
    )
    panel.until.setCurrentIndex(2)
    panel.frames.setValue(20)
    clicked_ns = time.time_ns()
    start(panel, qtbot)
    qtbot.waitUntil(lambda: not panel.recording, timeout=PATIENCE_MS)  # by itself
    panel.before.setValue(0)
    qtbot.waitUntil(lambda: panel._kept is None, timeout=PATIENCE_MS)

    (folder,) = tmp_path.iterdir()  # named by the time
    assert folder.name.startswith("run-2")
    run = es.open_run(folder)
    assert list(run) == [name]
    assert run[name].pixel_um == 1.5
    assert_unbroken(run[name], cameras[1])
    (trigger,) = [event for event in run[name].events if event["status"] == "trigger"]
    triggered_ns = int(np.datetime64(trigger["received_at"].rstrip("Z"), "ns").astype(np.int64))
    assert triggered_ns >= clicked_ns - 1_000_000
    after = sum(frame.received_ns >= triggered_ns for frame in run[name])
    assert 20 <= after <= 22
    assert len(run[name]) > after + 5


def test_cameras_that_are_removed_are_told_of(
    widget: LiveWidget, panel: RecordPanel, cameras: list[sim.SimulatedCamera], qtbot: Any, tmp_path: Path
) -> None:
    first, second, third = names_of(panel, cameras)
    panel.whom.setCurrentIndex(1)
    widget.session.select([first, second])
    start(panel, qtbot)
    widget.session.remove([first])
    qtbot.waitUntil(lambda: panel._lines[first].text(5) == RECORDED_SO_FAR, timeout=PATIENCE_MS)
    assert "were removed" not in panel.words.text()
    widget.session.remove([second])
    qtbot.waitUntil(lambda: "all its cameras were removed" in panel.words.text(), timeout=PATIENCE_MS)
    assert panel.whom.currentText() == "the 2 chosen in the table"
    stop(panel, qtbot)
    assert panel._lines[second].text(5) == RECORDED_SO_FAR
    assert panel.whom.currentText() == "the 0 chosen in the table"
    (folder,) = tmp_path.iterdir()
    assert set(es.open_run(folder)) == {first, second}
    assert third in widget.session.names


def test_nothing_is_kept_that_was_called_off_before_it_began(
    cameras: list[sim.SimulatedCamera], qtbot: Any
) -> None:
    session = LiveSession()
    panel = RecordPanel(session)
    qtbot.addWidget(panel)
    session.add([cameras[0].url])
    qtbot.waitUntil(lambda: session.fleet is not None, timeout=PATIENCE_MS)
    fleet = session.fleet
    assert fleet is not None
    panel.before.setValue(5)
    panel.before.setValue(0)
    rounds: list[None] = []
    for number in (1, 2):  # it has come, and what follows from that is done
        session.run(lambda: None, rounds.append, lane="record")
        qtbot.waitUntil(lambda number=number: len(rounds) == number, timeout=PATIENCE_MS)
    assert panel._kept is None
    qtbot.waitUntil(
        lambda: {stats.state for stats in fleet.stats().values()} == {"stopped"}, timeout=PATIENCE_MS
    )
    session.close()
    assert session.wait_closed(10)


def test_bad_places_are_said_and_a_widget_that_is_closed_ends_its_recording_in_order(
    widget: LiveWidget,
    panel: RecordPanel,
    cameras: list[sim.SimulatedCamera],
    qtbot: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "notes.txt").touch()
    (tmp_path / "file").touch()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    read_only = "/sys" if sys.platform == "linux" and os.geteuid() == 0 else str(closed)
    for folder, name, says in (
        (str(tmp_path), "taken", "never overwrites"),
        (str(tmp_path / "file"), "run", "is a file"),
        (read_only, "run", "may not write"),
        (str(tmp_path), "a/b", "no run can be called"),
        (str(tmp_path), "nul", "no run can be called"),
    ):
        panel.folder.setText(folder)
        panel.name.setText(name)
        qtbot.mouseClick(panel.record, LEFT)
        qtbot.waitUntil(lambda: not panel.recording, timeout=PATIENCE_MS)
        assert says in panel.words.text()
        assert panel.record.isEnabled()
        assert panel.name.text().startswith(name)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["closed", "file", "taken"]
    assert [next_name(name) for name in ("a", "run-09", "9")] == ["a-2", "run-10", "10"]
    assert run_path("", default_name()).parent == Path.home() / "Espressoscope"

    panel.folder.setText(str(tmp_path))
    names = names_of(panel, cameras)
    panel.name.setText("cut")
    start(panel, qtbot)
    widget.shut_down()
    assert widget.session.wait_closed(10)
    wait_until(lambda: "its widget was closed" in caplog.text, 10, what="the line in the log")
    assert str(tmp_path / "cut") in caplog.text
    run = es.open_run(tmp_path / "cut")
    assert run.info["state"] == "closed"
    for name, camera in zip(names, cameras, strict=True):
        assert run[name].segments[-1].contents.closed
        assert_unbroken(run[name], camera)


FULL_DISK = """
import json, sys, time
from qtpy.QtWidgets import QApplication
app = QApplication([])
from espressoscope.napari_plugin.record_panel import RecordPanel
from espressoscope.napari_plugin.session import LiveSession

def spin(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, panel.words.text()
        app.processEvents()
        time.sleep(0.005)

session = LiveSession()
panel = RecordPanel(session)
panel.show()
session.add(sys.argv[2:])
spin(lambda: session.names)
panel.folder.setText(sys.argv[1])
panel.name.setText("run")
panel.record.click()
spin(lambda: not panel.recording)
print(json.dumps([panel.words.text(), panel.figures.frames, panel.record.text()]))
session.close()
assert session.wait_closed(10)
"""


def test_a_full_disk_is_said_and_loses_nothing_acknowledged(
    cameras: list[sim.SimulatedCamera], tmp_path: Path
) -> None:
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("mount namespaces need Linux and the program unshare (Debian: util-linux)")
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    disk, script = tmp_path / "disk", tmp_path / "panel.py"
    disk.mkdir()
    script.write_text(FULL_DISK, encoding="utf-8")
    urls = " ".join(camera.url for camera in cameras)
    mounted = (
        f"mount -t tmpfs -o size=2m none '{disk}' || exit 99\n"
        f"'{sys.executable}' '{script}' '{disk}' {urls} && cp -r '{disk}/run' '{tmp_path}/run'"
    )
    done = subprocess.run(
        ["unshare", *rights, "--mount", "sh", "-c", mounted],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(REPO / "src")},
    )
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip(f"no right to mount a disk in a namespace ({done.stderr.strip()})")
    assert done.returncode == 0, done.stderr
    words, frames, button = json.loads(done.stdout.splitlines()[-1])
    assert "disk" in words
    assert f"{frames} frames" in words
    assert button == "Record"
    run = es.open_run(tmp_path / "run")
    assert sum(len(recording) for recording in run.values()) == frames > 0
    assert all(segment.contents.closed for each in run.values() for segment in each.segments)
