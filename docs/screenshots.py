"""Takes the pictures of docs/napari.md from simulated cameras: ``python docs/screenshots.py [FOLDER]``.

Needs napari and a screen; without one: ``xvfb-run -s "-screen 0 1920x1200x24" python docs/screenshots.py``.
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from espressoscope import sim

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent / "images"
PLACE = "127.0.0.77"  # of this computer, and of nobody's simulated cameras
LONGEST_S = 120.0
SIZE = (1240, 820)
Region = tuple[slice, slice]


class Camera:
    """Takes pictures of a viewer and its widget.

    Attributes
    ----------
    pictures : dict of str to (H, W, 3) uint8
        By the name of the file.
    tiles : dict of str to dict of int to (slice, slice)
        Where in them which camera is, by its number.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        from espressoscope.napari_plugin.sample_data import open_widget

        self.viewer = viewer
        self.widget = open_widget(viewer)
        self.pictures: dict[str, NDArray[np.uint8]] = {}
        self.tiles: dict[str, dict[int, Region]] = {}

    def wait(self, condition: Callable[[], object]) -> None:
        """Let the window live until something is so."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + LONGEST_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError("the window does not come to show what it should")
            QApplication.processEvents()
            time.sleep(0.005)

    def wait_s(self, seconds: float) -> None:
        """Let the window live for a while."""
        end = time.monotonic() + seconds
        self.wait(lambda: time.monotonic() > end)

    def fit(self) -> None:
        """Have all cameras in view."""
        screen = self.widget.screen
        self.wait(lambda: all(live.layer in self.viewer.layers for live in screen.layers.values()))
        screen.fit()

    def tab(self, title: str) -> Any:
        """Bring a panel to the front."""
        tabs = self.widget.tabs
        index = next(index for index in range(tabs.count()) if title in tabs.tabText(index))
        tabs.setCurrentIndex(index)
        return tabs.widget(index)

    def names(self, cameras: list[sim.SimulatedCamera]) -> list[str]:
        """Give the names cameras have in the widget."""
        fleet = self.widget.session.fleet
        assert fleet is not None
        by_url = {fleet[name].info.url: name for name in fleet.names}
        return [by_url[camera.url] for camera in cameras]

    def shoot(self, name: str, cameras: list[sim.SimulatedCamera] | None = None) -> None:
        """Take the whole window, and note where the cameras are in it."""
        self.pictures[name] = np.asarray(self.viewer.window.screenshot(canvas_only=False, flash=False))[
            ..., :3
        ]
        if cameras:
            names = self.names(cameras)
            self.tiles[name] = {
                camera.number: self._region(each) for each, camera in zip(names, cameras, strict=True)
            }

    def shoot_widget(self, name: str) -> None:
        """Take the widget alone."""
        image = self.widget.grab().toImage().convertToFormat(_rgb888())
        rows = np.frombuffer(_bytes(image), np.uint8).reshape(image.height(), image.bytesPerLine())
        picture = rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
        self.pictures[name] = picture.copy()

    def _region(self, name: str) -> Region:
        from qtpy.QtCore import QPoint

        layers = self.widget.screen.layers
        live = layers[name] if name in layers else layers["mosaic"]
        rows, columns = live.board.region(name)
        corners = [
            live.layer.data_to_world((row - 0.5, column - 0.5))[-2:]
            for row, column in ((rows.start, columns.start), (rows.stop, columns.stop))
        ]
        canvas, scene = self.viewer.window._qt_viewer.canvas, self.viewer.scene.camera
        size = np.asarray(canvas.size)
        at = canvas.native.mapTo(self.viewer.window._qt_window, QPoint(0, 0))
        pixels = (np.asarray(corners) - np.asarray(scene.center[-2:])) * scene.zoom + size / 2
        (top, left), (bottom, right) = np.rint(np.add(pixels, (at.y(), at.x()))).astype(int)
        return slice(top, bottom), slice(left, right)


def _rgb888() -> Any:
    from qtpy.QtGui import QImage

    return QImage.Format.Format_RGB888


def _bytes(image: Any) -> bytes:
    bits = image.constBits()
    if hasattr(bits, "setsize"):  # PyQt
        bits.setsize(image.sizeInBytes())
    return bytes(bits)


def take_all(camera: Camera, folder: Path) -> None:
    """Walk through the plugin as docs/napari.md does, and take its pictures."""
    viewer, widget = camera.viewer, camera.widget
    session = widget.session
    viewer.window.resize(*SIZE)
    qt_viewer = viewer.window._qt_viewer
    for dock in (qt_viewer.dockLayerControls, qt_viewer.dockLayerList):
        dock.hide()  # napari's own; the pictures need the room
    with ExitStack() as stack:
        four = stack.enter_context(sim.simulate(4, host=PLACE, framesize="VGA", fps=5, name="Microscope"))
        before = os.environ.get("ESPRESSOSCOPE_NETWORKS")
        os.environ["ESPRESSOSCOPE_NETWORKS"] = f"{PLACE}/32"
        try:
            widget.finder.find.click()
            camera.wait(lambda: widget.finder.results.count() == 4 and not session.searching)
        finally:
            del os.environ["ESPRESSOSCOPE_NETWORKS"]
            if before is not None:
                os.environ["ESPRESSOSCOPE_NETWORKS"] = before
        camera.shoot_widget("napari-find")
        widget.finder.show_found.click()
        camera.wait(lambda: len(session.names) == 4 and widget.screen.passes > 8)
        camera.wait(lambda: all(widget.table.cameras.text(name, 6) for name in session.names))
        camera.fit()
        _settings(camera)
        camera.shoot("napari-live", four)
        panel = _record(camera, folder)
        camera.tab("Traces")
        for way in ("focus_up", "focus_down"):  # out of focus and back
            for name in session.names[:2]:
                session.run(getattr(session.camera(name), way), camera=name)
            camera.wait_s(2.0)
        camera.shoot_widget("napari-traces")
        _recorded(camera, panel, folder)
        _snap(camera)
        _function(camera, folder)
        session.remove(session.names)
        camera.wait(lambda: not session.names and not widget.screen.layers)
    _plate(camera, folder)


def _settings(camera: Camera) -> None:
    panel = camera.tab("Settings")
    camera.wait(lambda: panel.name and "told at" in panel.words.text())
    camera.wait_s(0.3)
    camera.shoot_widget("napari-settings")


def _snap(camera: Camera) -> None:
    panel = camera.tab("Snap")
    panel.folder.setText("~/Espressoscope/stills")
    panel.snap.click()
    live = {live.layer.name for live in camera.widget.screen.layers.values()}

    def snapped() -> list[Any]:
        return [layer for layer in camera.viewer.layers if layer.visible and layer.name not in live]

    camera.wait(lambda: panel.list.topLevelItemCount() == 4 and len(snapped()) == 4)
    camera.shoot_widget("napari-snap")
    for layer in snapped():
        camera.viewer.layers.remove(layer)


def _record(camera: Camera, folder: Path) -> Any:
    panel = camera.tab("Record")
    panel.folder.setText(str(folder))
    panel.name.setText("run-07")
    panel.record.click()
    return panel


def _recorded(camera: Camera, panel: Any, folder: Path) -> None:
    camera.tab("Record")
    camera.wait(lambda: panel.figures is not None and panel.figures.seconds > 4)
    panel.folder.setText("~/Espressoscope")
    panel.words.setText(panel.words.text().replace(str(folder), "~/Espressoscope"))
    camera.shoot_widget("napari-record")
    panel.record.click()
    camera.wait(lambda: not panel.recording)


def _function(camera: Camera, folder: Path) -> None:
    """Show what the page's own function makes of the pictures."""
    page = Path(__file__).with_name("napari.md").read_text(encoding="utf-8")
    block = next(block for block in page.split("```python\n")[1:] if "def edges" in block)
    Path(folder, "edges.py").write_text(block.partition("```")[0], encoding="utf-8")
    panel = camera.tab("Function")
    panel.source.setText(str(Path(folder, "edges.py")) + ":edges")
    panel.start.click()
    layer = camera.widget.screen.layers[camera.widget.session.names[0]]
    camera.wait(lambda: np.ptp(np.asarray(layer.layer.data)[..., :3], axis=2).max() == 0)  # gray
    camera.fit()
    camera.wait_s(1.0)
    panel.source.setText("~/edges.py:edges")
    camera.shoot("napari-function")
    panel.stop.click()


def _plate(camera: Camera, folder: Path) -> None:
    """Show 24 cameras, of which one is gone, one stalls and one is frozen."""
    session, screen = camera.widget.session, camera.widget.screen
    camera.tab("Traces")
    with sim.simulate(24, port=0, framesize="QVGA", fps=2) as cameras:
        fleet = Path(folder, "lab.toml")
        fleet.write_text(_fleet(cameras), encoding="utf-8")
        session.add_fleet_file(str(fleet))
        camera.wait(lambda: len(session.names) == 24 and "mosaic" in screen.layers)
        names = camera.names(cameras)
        camera.wait(lambda: {screen.state(name).name for name in names} == {"LIVE"})
        with cameras[8].fault("stall"), cameras[15].fault("frozen"):
            states = lambda number: str(screen.state(names[number]).name)  # noqa: E731
            camera.wait(lambda: states(8) == "NO_SIGNAL" and states(15) == "FROZEN")
            camera.fit()
            words = lambda number: screen.judging.words["mosaic", names[number]]  # noqa: E731
            camera.wait(lambda: "NO SIGNAL" in words(8) and "FROZEN" in words(15))
            camera.wait_s(1.0)  # every label is written anew in its turn
            camera.shoot("napari-plate", cameras)


def _fleet(cameras: list[sim.SimulatedCamera]) -> str:
    """Write a fleet file: each camera has its well."""
    lines = ["[plates.plate]", "wells = 24"]
    for index, camera in enumerate(cameras):
        well = f"{'ABCD'[index // 6]}{index % 6 + 1}"
        lines += [f"[cameras.{well}]", f'mac = "{camera.mac}"', f'url = "{camera.url}"']
        lines += ['plate = "plate"', f'well = "{well}"']
    return "\n".join(lines) + "\n"


def encode(picture: NDArray[np.uint8]) -> bytes:
    """Make a PNG for a page: few colours are enough, and take less room."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture).quantize(96, dither=Image.Dither.NONE).save(file, "PNG", optimize=True)
    return file.getvalue()


def main(folder: Path) -> None:
    """Take them all, and save them."""
    import napari

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as runs:
        warnings.simplefilter("ignore")  # what napari's libraries warn of is theirs
        os.environ.setdefault("NAPARI_CONFIG", str(Path(runs, "settings.yaml")))
        viewer = napari.Viewer()
        camera = Camera(viewer)
        take_all(camera, Path(runs))
        camera.widget.shut_down()
        camera.widget.session.wait_closed(10)
        viewer.close()
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in camera.pictures.items():
        data = encode(picture)
        Path(folder, f"{name}.png").write_bytes(data)
        sys.stdout.write(f"{name}.png: {picture.shape[1]} x {picture.shape[0]}, {len(data) / 1000:.0f} KB\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
