"""Snap: the right picture in the right layer, and in the right file, with all that is known of it."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.napari_plugin.pictures import Look
from espressoscope.napari_plugin.snap_panel import SnapPanel
from espressoscope.napari_plugin.snapping import take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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


def test_the_button_is_for_the_cameras_that_are_meant(
    widget: LiveWidget, panel: SnapPanel, qtbot: Any, six: list[sim.SimulatedCamera]
) -> None:
    session = widget.session
    assert not panel.snap.isEnabled()
    bring_in(widget, qtbot, six[:2])
    one, two = session.names

    def press() -> None:
        qtbot.mouseClick(panel.snap, Qt.MouseButton.LeftButton)

    panel.scope.setCurrentIndex(1)
    press()
    assert panel.words.text() == "no camera is chosen: click one in the table, or snap all"
    assert not panel.busy
    session.select([one])
    session.select([])
    panel.scope.setCurrentIndex(0)
    snap(panel, qtbot)
    assert panel.words.text() == "2 of 2 pictures taken"

    # While one is waited for, it is the other's turn.
    session.select([one])
    panel.scope.setCurrentIndex(1)
    (meant,) = [each for each in six if each.url == session.camera(one).info.url]  # type: ignore[union-attr]
    with meant.fault("stall"):
        press()
        assert not panel.snap.isEnabled()
        panel.scope.setCurrentIndex(0)
        assert panel.snap.isEnabled()
        panel.scope.setCurrentIndex(1)
        assert not panel.snap.isEnabled()
        session.select([two])
        assert panel.snap.isEnabled()
    qtbot.waitUntil(lambda: not panel.busy, timeout=PATIENCE_MS)


def test_what_waits_to_be_saved_is_saved_when_the_widget_is_closed(
    widget: LiveWidget,
    panel: SnapPanel,
    viewer: napari.Viewer,
    qtbot: Any,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
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
