"""`Fleet.mosaic`: every camera in its place, nothing stale as live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

import espressoscope as es
from espressoscope.api import fleet_picture
from espressoscope.sim import read_strip, simulate
from support import wait_until

if TYPE_CHECKING:
    from numpy.typing import NDArray


def tiles(image: NDArray[np.uint8], tile: tuple[int, int], columns: int) -> list[NDArray[np.uint8]]:
    height, width = tile
    rows = image.shape[0] // height
    return [
        np.ascontiguousarray(image[r * height : (r + 1) * height, c * width : (c + 1) * width])
        for r in range(rows)
        for c in range(columns)
    ]


def camera_in(tile: NDArray[np.uint8]) -> int | None:
    reading = read_strip(tile)
    return None if reading is None else reading.camera


def gray(tile: NDArray[np.uint8]) -> bool:
    return bool(np.ptp(tile.astype(int), axis=2).max() == 0)


def test_every_camera_keeps_its_place() -> None:
    with (
        simulate(5, port=0, fps=20, framesize="VGA") as cameras,
        es.Fleet(camera.url for camera in cameras[:4]) as fleet,
    ):
        shape, columns = (240, 320), 3
        image = fleet.mosaic(shape, columns)
        assert image.shape == (480, 960, 3)
        numbers = [camera.number for camera in cameras]
        wait_until(
            lambda: (
                [camera_in(t) for t in tiles(fleet.mosaic(shape, columns), shape, columns)][:4] == numbers[:4]
            ),
            what="each camera in its place",
        )
        fleet.remove(fleet.names[1])
        fleet.add(cameras[4].url, "new")
        assert fleet.latest()["new"] is not None
        shown = [camera_in(t) for t in tiles(fleet.mosaic(shape, columns), shape, columns)]
        assert [shown[0], *shown[2:4]] == [numbers[0], *numbers[2:4]]
        assert shown[1] == numbers[4]
        again = fleet.mosaic(shape, columns, out=image)
        assert again is image
        assert fleet.mosaic(max_width=800).shape[1] <= 800
        assert fleet.mosaic(columns=1).shape[1] <= 1920
        for wrong in ({"columns": 0}, {"columns": -1}, {"max_width": 0}):
            with pytest.raises(ValueError, match="cannot be shown"):
                fleet.mosaic(**wrong)  # type: ignore[arg-type]


def test_nothing_stale_is_shown_as_live(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (240, 320)
    with (
        simulate(2, port=0, fps=20, framesize="QVGA") as cameras,
        es.Fleet([*(camera.url for camera in cameras), "127.0.0.1:9"]) as fleet,
    ):
        picture = tiles(fleet.mosaic(shape, 3), shape, 3)
        assert [camera_in(tile) for tile in picture[:2]] == [camera.number for camera in cameras]
        assert picture[2].mean() < 50  # dark, with a cross
        with cameras[0].fault("frozen"):
            wait_until(lambda: fleet.stats()[fleet.names[0]].frozen, what="the frozen picture to be noticed")
            frozen, live, _ = tiles(fleet.mosaic(shape, 3), shape, 3)
            assert frozen[..., 2].mean() > frozen[..., 0].mean() + 40
            assert camera_in(live) == cameras[1].number
        wait_until(lambda: not fleet.stats()[fleet.names[0]].frozen, what="new pictures")
        monkeypatch.setattr(fleet_picture, "STALE_S", 0.0)
        stale = tiles(fleet.mosaic(shape, 3), shape, 3)
        assert gray(stale[0])
        assert gray(stale[1])


def test_a_fleet_of_nobody_is_a_picture_too() -> None:
    with es.Fleet([]) as fleet:
        assert fleet.mosaic().ndim == 3
        assert fleet.latest() == {}
        assert fleet.set(quality=3) == {}
