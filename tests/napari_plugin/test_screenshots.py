"""The script that takes the pictures of docs/napari.md: what they show is read from the files it makes."""

from __future__ import annotations

import importlib.util
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from espressoscope import sim
from support import REPO

pytest.importorskip("napari")

if TYPE_CHECKING:
    from pathlib import Path

    import napari
    from numpy.typing import NDArray

pytestmark = pytest.mark.filterwarnings("default")
MOST_BYTES = 300_000


def decoded(data: bytes) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def colours(picture: NDArray[np.uint8]) -> int:
    """Count the colours of a picture."""
    red, green, blue = np.moveaxis(picture.astype(np.uint32), -1, 0)
    seen = np.zeros(1 << 24, bool)
    seen[(red << 16) | (green << 8) | blue] = True
    return int(seen.sum())


def script() -> Any:
    spec = importlib.util.spec_from_file_location("screenshots", REPO / "docs" / "screenshots.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_of_the_walk_show_what_it_says(viewer: napari.Viewer, tmp_path: Path) -> None:
    screenshots = script()
    camera = screenshots.Camera(viewer)
    docks = (viewer.window._qt_viewer.dockLayerControls, viewer.window._qt_viewer.dockLayerList)
    try:
        screenshots.take_all(camera, tmp_path)
    finally:
        camera.widget.shut_down()
        assert camera.widget.session.wait_closed(10)
        viewer.window.remove_dock_widget(camera.widget)
        for dock in docks:
            dock.show()

    pages = [(REPO / page).read_text(encoding="utf-8") for page in ("docs/napari.md", "README.md")]
    assert set(re.findall(r"images/(napari-\w+)\.png", pages[0])) == set(camera.pictures)
    assert "docs/images/napari-" in pages[1]
    taken: dict[str, NDArray[np.uint8]] = {}
    for name, picture in camera.pictures.items():
        data = screenshots.encode(picture)
        assert len(data) < MOST_BYTES
        shown = taken[name] = decoded(data)
        assert colours(shown) > 20, f"{name} is empty"
        kept = (REPO / "docs" / "images" / f"{name}.png").read_bytes()
        assert len(kept) < MOST_BYTES
        assert colours(decoded(kept)) > 20

    # Every camera in its place, read from the pictures; of the plate those that are not struck.
    for name, count, struck in (("napari-live", 4, set()), ("napari-plate", 24, {8, 15})):
        shown = taken[name]
        assert len(camera.tiles[name]) == count
        for number, (rows, columns) in camera.tiles[name].items():
            tile = np.ascontiguousarray(shown[rows, columns])
            if number in struck:
                red, _, blue = tile.reshape(-1, 3).mean(axis=0)
                assert tile.mean() < 60 if number == 8 else blue > red + 20  # NO SIGNAL, FROZEN
            else:
                reading = sim.read_strip(tile)
                assert reading is not None, (name, number)
                assert reading.camera == number
