"""Snap: the right picture in the right layer with all that is known of it, and files that replace nothing."""

from __future__ import annotations

import errno
import io
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.napari_plugin.picture_files import file_stem, save
from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.snap_panel import SnapPanel
from espressoscope.napari_plugin.snapping import take

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def six() -> Iterator[list[sim.SimulatedCamera]]:
    with sim.simulate(6, port=0, framesize="QVGA", fps=6, prerender=True) as cameras:
        yield cameras


@pytest.fixture
def panel(widget: LiveWidget, qtbot: Any) -> SnapPanel:
    (panel,) = widget.findChildren(SnapPanel)
    widget.tabs.setCurrentWidget(panel)
    return panel


def bring_in(widget: LiveWidget, qtbot: Any, cameras: list[sim.SimulatedCamera]) -> dict[str, int]:
    """Give the number of each camera by its name."""
    widget.session.add([camera.url for camera in cameras])
    qtbot.waitUntil(lambda: len(widget.session.names) == len(cameras), timeout=PATIENCE_MS)
    numbers = {camera.url: camera.number for camera in cameras}
    return {name: numbers[widget.session.camera(name).info.url] for name in widget.session.names}  # type: ignore[union-attr]


def snap(panel: SnapPanel, qtbot: Any) -> None:
    qtbot.mouseClick(panel.snap, Qt.MouseButton.LeftButton)
    assert panel.busy
    qtbot.waitUntil(lambda: not panel.busy, timeout=PATIENCE_MS)


def snapped(viewer: napari.Viewer) -> list[tuple[Any, list[dict[str, Any]]]]:
    """Give layers of snapped pictures, and what is known of each picture."""
    layers = [(layer, layer.metadata.get("espressoscope", {}).get("pictures")) for layer in viewer.layers]
    return [(layer, entries) for layer, entries in layers if entries]


def number_in(picture: Any) -> int | None:
    reading = sim.read_strip(np.ascontiguousarray(picture))
    return None if reading is None else reading.camera


def test_a_few_become_layers_with_all_that_is_known_and_files_as_sent(
    widget: LiveWidget, panel: SnapPanel, viewer: napari.Viewer, qtbot: Any, tmp_path: Path
) -> None:
    with sim.SimulatedCamera(framesize="QVGA", fps=6, number=9) as camera:
        (name,) = bring_in(widget, qtbot, [camera])
        qtbot.waitUntil(lambda: widget.screen.passes > 1, timeout=PATIENCE_MS)
        widget.session.set_look(name, Look(turns=1, pixel_um=2.5))
        panel.folder.setText(str(tmp_path))
        panel.at_once.setCurrentIndex(1)
        snap(panel, qtbot)
        ((layer, (entry,)),) = snapped(viewer)
        assert layer.name == entry["picture"]
        assert layer.name.startswith(f"{name} 20")
        assert layer.data.shape == (320, 240, 3)
        assert number_in(np.rot90(layer.data, -1)) == 9
        assert tuple(layer.scale) == (2.5, 2.5)
        assert str(layer.units[-1]) == "micrometer"
        assert layer.extent.world[1][0] < 0  # above the live picture: it covers nothing
        assert (entry["firmware"], entry["mac"]) == ("matchboxscope", camera.info.mac)
        assert entry["settings"]["framesize"] == "QVGA"
        assert entry["time"].endswith("Z")
        assert np.datetime64(entry["time"][:-1], "us").astype(int) == entry["time_ns"] // 1000
        qtbot.waitUntil(lambda: "Saved" in panel.words.text(), timeout=PATIENCE_MS)
        (file,) = tmp_path.iterdir()
        assert file.read_bytes() == entry["jpeg"]
        assert any(frame.jpeg == entry["jpeg"] for frame in camera.sent)

        # Another size, for this picture alone; as TIFF; the first one stays as it is.
        before = layer.data.copy()
        qtbot.waitUntil(lambda: panel.size.findText("VGA") > 0, timeout=PATIENCE_MS)
        panel.size.setCurrentText("VGA")
        panel.kind.setCurrentIndex(1)
        snap(panel, qtbot)
        (same, _), (larger, (about,)) = snapped(viewer)
        assert same is layer
        assert (layer.data == before).all()
        assert larger.data.shape == (640, 480, 3)
        assert number_in(np.rot90(larger.data, -1)) == 9
        assert about["settings"]["framesize"] == "VGA"
        assert widget.session.camera(name).status()["framesize"] == "QVGA"  # type: ignore[union-attr]
        qtbot.waitUntil(lambda: len(list(tmp_path.iterdir())) == 2, timeout=PATIENCE_MS)
        (tiff,) = tmp_path.glob("*.tif")
        with Image.open(tiff) as picture:
            assert (np.asarray(picture) == larger.data).all()
            tags = picture.tag_v2  # type: ignore[attr-defined]
            assert float(tags[282]) == pytest.approx(4000)  # pixels per cm
            assert tags[296] == 3
            told = json.loads(tags[270])
        assert told == {key: about[key] for key in told}


def test_many_become_one_stack_and_a_dead_camera_costs_only_itself(
    widget: LiveWidget,
    panel: SnapPanel,
    viewer: napari.Viewer,
    qtbot: Any,
    six: list[sim.SimulatedCamera],
    tmp_path: Path,
) -> None:
    numbers = bring_in(widget, qtbot, six)
    qtbot.waitUntil(
        lambda: [each.name for each in viewer.layers if not each.visible] == ["Snaps"], timeout=PATIENCE_MS
    )
    (waiting,) = [each for each in viewer.layers if not each.visible]
    snap(panel, qtbot)
    ((layer, entries),) = snapped(viewer)
    assert layer is waiting  # made ahead: napari stops for each new one
    assert layer.visible
    assert [entry["camera"] for entry in entries] == widget.session.names
    assert layer.data.shape == (6, 240, 320, 3)
    assert viewer.dims.nsteps[0] == 6
    for place, name in reversed(tuple(enumerate(widget.session.names))):
        panel.list.itemDoubleClicked.emit(panel.list.topLevelItem(place), 0)
        assert number_in(layer.data[viewer.dims.current_step[0]]) == numbers[name]
    qtbot.mouseClick(widget.live, Qt.MouseButton.LeftButton)  # also without a stream
    with six[4].fault("vanish"):
        dead = next(name for name, number in numbers.items() if number == six[4].number)
        snap(panel, qtbot)
    assert panel.report.bad == {dead}
    assert panel.words.text() == "5 of 6 pictures taken"
    ((same, entries),) = snapped(viewer)
    assert same is layer
    assert len(layer.data) == len(entries) == 11
    assert [number_in(picture) for picture in layer.data] == [numbers[entry["camera"]] for entry in entries]
    assert len({entry["picture"] for entry in entries}) == 11
    assert viewer.dims.current_step[0] == 6  # the slider shows the first of the new ones

    # All are in the list and can be saved afterwards. A folder that is not there is said; nothing is lost.
    assert panel.list.topLevelItemCount() == 11
    panel.folder.setText(str(tmp_path / "gone"))
    qtbot.mouseClick(panel.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: "no such folder" in panel.words.text(), timeout=PATIENCE_MS)
    panel.folder.setText(str(tmp_path))
    qtbot.mouseClick(panel.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(list(tmp_path.iterdir())) == 11, timeout=PATIENCE_MS)
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {entry["jpeg"] for entry in entries}

    # A stack its user removes, or cuts, is not written to again.
    layer.data = layer.data[:2]
    snap(panel, qtbot)
    (_, _), (another, entries) = snapped(viewer)
    assert len(layer.data) == 2
    assert len(another.data) == len(entries) == 6
    viewer.layers.remove(another)
    snap(panel, qtbot)
    assert len(snapped(viewer)[-1][0].data) == 6
    assert widget.session.names == list(numbers)


def test_files_replace_nothing_and_say_what_is_wrong(tmp_path: Path) -> None:
    import espressoscope as es

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
    import espressoscope as es
    from espressoscope.napari_plugin import picture_files
    from espressoscope.napari_plugin.session import LiveSession

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


def test_what_waits_to_be_saved_is_saved_when_the_widget_is_closed(
    widget: LiveWidget,
    panel: SnapPanel,
    viewer: napari.Viewer,
    qtbot: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    import espressoscope as es

    with sim.SimulatedCamera(framesize="SXGA") as camera, es.Camera(camera.url) as device:
        first = take("A1", device, None, Look())
    panel.folder.setText(str(tmp_path))
    panel.kind.setCurrentIndex(1)
    panel._write([first._replace(camera=f"c{number}") for number in range(30)])
    (tmp_path / "none").touch()
    panel.files.write([first._replace(camera="lost")], tmp_path / "none", "tiff")
    viewer.window.remove_dock_widget(widget)
    assert len(list(tmp_path.glob("*.tif"))) < 30

    def over() -> bool:
        return not any(thread.name == "espressoscope-napari-files" for thread in threading.enumerate())

    qtbot.waitUntil(over, timeout=PATIENCE_MS)
    files = list(tmp_path.glob("*.tif"))
    assert len(files) == 30
    with Image.open(files[-1]) as picture:
        assert np.asarray(picture).shape == (1024, 1280, 3)
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert f"1 picture was not saved (lost {first.name[3:]})" in record.getMessage()
    assert "there is no such folder" in record.getMessage()


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


def test_a_mistake_of_ours_is_said_and_logged_with_its_traceback(
    widget: LiveWidget,
    panel: SnapPanel,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wrong(*_: object) -> None:
        raise RuntimeError("a tile of no size")

    monkeypatch.setattr("espressoscope.napari_plugin.snap_panel.take", wrong)
    with sim.SimulatedCamera(framesize="QVGA", fps=6) as camera:
        (name,) = bring_in(widget, qtbot, [camera])
        snap(panel, qtbot)
    assert panel.report.bad == {name}
    assert "a tile of no size" in panel.report.lines[name]
    assert "report it with the log" in panel.report.lines[name]
    (record,) = [each for each in caplog.records if each.levelname == "ERROR"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "a tile of no size"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full is simulated by /dev/full")
def test_a_full_disk_is_said_and_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import espressoscope as es
    from espressoscope.napari_plugin import picture_files

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
