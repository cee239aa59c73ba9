"""Files of snapped pictures: they replace nothing, none is lost, and what is wrong is said."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin import picture_files
from espressoscope.napari_plugin.picture_files import file_stem, save
from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.snap_panel import SnapPanel
from espressoscope.napari_plugin.snapping import take

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000


def test_files_replace_nothing_and_say_what_is_wrong(tmp_path: Path) -> None:
    with sim.SimulatedCamera(framesize="QVGA") as camera, es.Camera(camera.url) as device:
        picture = take('a/b:c*"CON', device, None, Look())
    first, second = save(picture, tmp_path, "jpeg"), save(picture, tmp_path, "jpeg")
    assert first != second
    assert first.parent == second.parent == tmp_path
    assert first.read_bytes() == second.read_bytes() == picture.frame.jpeg
    assert not set(first.name) & set('<>:"/\\|?*')
    with Image.open(io.BytesIO(save(picture, tmp_path, "tiff").read_bytes())) as tiff:
        assert 282 not in tiff.tag_v2 or tiff.tag_v2[296] != 3  # type: ignore[attr-defined]
    with pytest.raises(OSError, match=r"no such folder.*Choose another"):
        save(picture, first, "jpeg")
    assert [file_stem(name) for name in ("CON", "..", "lpt1.x", "Zürich 1", "")] == [
        "camera-CON",
        "camera",
        "camera-lpt1.x",
        "Zürich-1",
        "camera",
    ]


def test_hundreds_are_saved_and_leave_room_for_other_calls_and_those_that_are_not_are_named(
    qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sim.SimulatedCamera(framesize="QVGA") as camera, es.Camera(camera.url) as device:
        first = take("A1", device, None, Look())
    session = LiveSession()
    panel = SnapPanel(session)
    qtbot.addWidget(panel)
    failures: list[str] = []
    session.failed.connect(failures.append)
    panel.folder.setText(str(tmp_path))
    panel._write([first._replace(camera=f"c{number}") for number in range(400)])
    changes: list[bool] = []
    session.live_changed.connect(changes.append)
    session.set_live(True)
    assert (session.live, changes, failures) == (True, [True], [])
    qtbot.waitUntil(lambda: panel.words.text() == f"Saved in {tmp_path}", timeout=PATIENCE_MS)
    assert len(list(tmp_path.iterdir())) == 400
    assert not failures

    # One of three has no room: how many were saved is said, and which was not.
    def full(path: Path, mode: str) -> Any:
        if path.name.startswith("B2"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return open(path, mode)

    monkeypatch.setattr(picture_files, "open", full, raising=False)
    three = [first._replace(camera=name) for name in ("B1", "B2", "B3")]
    panel._write(three)
    panel._write(three)  # impatient: they wait already
    qtbot.waitUntil(lambda: panel.words.text() == f"2 of 3 saved in {tmp_path}", timeout=PATIENCE_MS)
    assert panel.report.bad == set(panel.report.lines) == {three[1].name}
    assert "Make room" in panel.report.lines[three[1].name]
    assert len(list(tmp_path.iterdir())) == 402

    # Where too much waits, Live stays what it was, and its button is told.
    begun, let_go = threading.Event(), threading.Event()
    session.run(lambda: (begun.set(), let_go.wait(30)), lane="slow")
    assert begun.wait(10)
    while session.run(lambda: None, lane="slow"):
        pass
    session.set_live(False)
    assert (session.live, changes) == (True, [True, True])
    let_go.set()
    session.close()
    assert session.wait_closed(10)


SAVING = """
import pathlib, sys, threading, time
from espressoscope import sim
import espressoscope as es
from espressoscope.napari_plugin import picture_writer
from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.snapping import take

with sim.SimulatedCamera(framesize="SXGA") as camera, es.Camera(camera.url) as device:
    first = take("A1", device, None, Look())
if sys.argv[2] == "stuck":
    picture_writer.END_S = 0.1
    picture_writer.save = lambda *_: threading.Event().wait()
writer = picture_writer.PictureWriter(lambda saved: None, lambda: False)
for number in range(20):
    job = picture_writer.Job(first._replace(camera=f"c{number}"), pathlib.Path(sys.argv[1]), "tiff")
    assert writer.put(job)
"""


@pytest.mark.parametrize("disk", ["slow", "stuck"])
def test_what_waits_to_be_saved_is_saved_or_named_when_the_program_ends(tmp_path: Path, disk: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAVING, str(tmp_path), disk], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.tif"))) == (20 if disk == "slow" else 0)
    assert ("20 pictures were not saved (c0 " in done.stderr) == (disk == "stuck"), done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is simulated by /dev/full")
def test_a_full_disk_is_said_and_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sim.SimulatedCamera(framesize="QVGA") as camera, es.Camera(camera.url) as device:
        picture = take("A1", device, None, Look())

    def full(path: Path, mode: str) -> Any:
        open(path, mode).close()  # the name is there
        return open("/dev/full", "wb", buffering=0)

    monkeypatch.setattr(picture_files, "open", full, raising=False)
    with pytest.raises(OSError, match=r"A1 was not saved.*No space left.*Make room") as caught:
        save(picture, tmp_path, "jpeg")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
