"""The mosaic: every tile the right camera, each in its place, nothing stale shown as live."""

from __future__ import annotations

import io
import threading
from functools import cache

import numpy as np
import pytest
from PIL import Image

from espressoscope.display import MAX_PIXELS, Mosaic, TileState, choose_grid
from espressoscope.display.fit import BACKGROUND
from espressoscope.model import Frame
from espressoscope.sim import read_strip
from espressoscope.sim.pictures import PictureSource
from espressoscope.sim.sensor import Sensor

SIZES = {"QQVGA": (160, 120), "QVGA": (320, 240), "CIF": (400, 296), "VGA": (640, 480), "SVGA": (800, 600)}
SIZES |= {"HD": (1280, 720), "SXGA": (1280, 1024), "UXGA": (1600, 1200)}


@cache
def jpeg(camera: int, number: int, framesize: str) -> bytes:
    sensor = Sensor(framesize=framesize)
    return PictureSource(sensor, camera, 3, True).render(number)


def shot(camera: int, number: int = 0, framesize: str = "VGA") -> Frame:
    width, height = SIZES[framesize]
    return Frame(jpeg(camera, number, framesize), number, 0, None, width, height, str(camera))


def tile_of(mosaic: Mosaic, image: np.ndarray, name: str) -> np.ndarray:
    return image[mosaic.region(name)]


def reading(mosaic: Mosaic, image: np.ndarray, name: str) -> tuple[int, int] | None:
    """Read camera and frame from a tile's strip, above the margin where a picture does not fill it."""
    tile = tile_of(mosaic, image, name)
    rows = np.flatnonzero((tile != BACKGROUND).any(axis=(1, 2)))
    columns = np.flatnonzero((tile != BACKGROUND).any(axis=(0, 2)))
    return read_strip(tile[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])


def is_dead(tile: np.ndarray) -> bool:
    """Tell whether a tile is dark with a cross from corner to corner."""
    height, width, _ = tile.shape
    flat = tile.max() < 130 and len(np.unique(tile.reshape(-1, 3), axis=0)) == 2
    crossed = ((0.1, 0.1), (0.5, 0.5), (0.3, 0.7), (0.9, 0.1))
    spots = [tile[int(y * height), int(x * width)] for y, x in crossed]
    return bool(flat and all(spot.max() > 100 for spot in spots) and tile[height // 2, 2].max() < 50)


def is_colourless(tile: np.ndarray) -> bool:
    return bool((tile[..., 0] == tile[..., 1]).all() and (tile[..., 1] == tile[..., 2]).all())


# --- every tile the right camera


@pytest.mark.parametrize("tile", [(480, 640), (240, 320), (120, 160), (60, 80), (200, 300), (97, 143)])
def test_every_tile_shows_its_camera(tile: tuple[int, int]) -> None:
    names = [str(camera) for camera in range(7)]
    mosaic = Mosaic(names, tile=tile)
    image = mosaic.draw({name: shot(int(name), 5) for name in names})
    assert image.shape == mosaic.shape
    assert image.dtype == np.uint8
    assert [reading(mosaic, image, name) for name in names] == [(int(name), 5) for name in names]
    assert set(mosaic.shown.values()) == {TileState.LIVE}


@pytest.mark.parametrize("framesize", SIZES)
@pytest.mark.parametrize("tile", [(240, 320), (150, 150), (64, 240)])
def test_pictures_of_all_sizes_fit_any_tile(framesize: str, tile: tuple[int, int]) -> None:
    mosaic = Mosaic("7", tile=tile)
    image = mosaic.draw({"7": shot(7, 3, framesize)})
    assert reading(mosaic, image, "7") == (7, 3)
    width, height = SIZES[framesize]
    shown = (image != BACKGROUND).any(axis=2)
    high, wide = np.flatnonzero(shown.any(axis=1)).size, np.flatnonzero(shown.any(axis=0)).size
    assert high == tile[0] or wide == tile[1]
    assert abs(wide / high - width / height) < 0.03 * width / height


def test_tiles_of_the_chosen_grid_are_what_the_decoder_gives() -> None:
    grid = choose_grid(24)
    mosaic = Mosaic([str(camera) for camera in range(24)], grid.tile, grid.columns)
    assert mosaic.shape == grid.shape
    frame = shot(0)
    image = mosaic.draw({"0": frame})
    assert (tile_of(mosaic, image, "0") == frame.image(scale=2)).all()


def test_colours_are_true() -> None:
    mosaic = Mosaic("0", tile=(480, 640))
    frame = shot(0)
    assert (mosaic.draw({"0": frame}) == frame.image()).all()


def test_a_gray_jpeg_is_shown() -> None:
    file = io.BytesIO()
    Image.fromarray(np.tile(np.arange(0, 256, 2, np.uint8), (96, 1))).save(file, "JPEG", quality=95)
    mosaic = Mosaic("a", tile=(96, 128))
    image = mosaic.draw({"a": Frame(file.getvalue(), 0, 0, None, 128, 96)})
    assert mosaic.shown == {"a": TileState.LIVE}
    assert is_colourless(image)
    assert np.abs(image[50, :, 0].astype(int) - np.arange(0, 256, 2)).max() < 6


def test_sizes_may_change_from_frame_to_frame() -> None:
    mosaic = Mosaic("3", tile=(240, 320))
    out = mosaic.draw({})
    for number, framesize in enumerate([*SIZES, *reversed(SIZES)]):
        assert mosaic.draw({"3": shot(3, number, framesize)}, out) is out
        assert reading(mosaic, out, "3") == (3, number)


@pytest.mark.parametrize(("width", "height"), [(0, 0), (100, 5), (1600, 1200), (8, 8)])
def test_a_frame_that_lies_about_its_size_is_shown_all_the_same(width: int, height: int) -> None:
    mosaic = Mosaic("2", tile=(240, 320))
    image = mosaic.draw({"2": Frame(jpeg(2, 1, "VGA"), 1, 0, None, width, height)})
    assert mosaic.shown == {"2": TileState.LIVE}
    assert reading(mosaic, image, "2") == (2, 1)


# --- nothing stale as live


def test_a_camera_without_a_frame_is_clearly_dead() -> None:
    mosaic = Mosaic("01")
    out = mosaic.draw({"0": shot(0), "1": shot(1)})
    mosaic.draw({"0": None, "1": shot(1, 1)}, out)
    assert is_dead(tile_of(mosaic, out, "0"))
    assert reading(mosaic, out, "1") == (1, 1)
    mosaic.draw({}, out)
    assert is_dead(tile_of(mosaic, out, "1"))
    assert set(mosaic.shown.values()) == {TileState.NO_SIGNAL}


@pytest.mark.parametrize("data", [b"", b"junk", jpeg(0, 0, "VGA")[:3000], jpeg(0, 0, "VGA")[:200]])
def test_a_frame_that_cannot_be_decoded_is_dead_and_counted_once(data: bytes) -> None:
    mosaic = Mosaic("01")
    bad = Frame(data, 1, 0, None, 640, 480)
    out = mosaic.draw({"0": shot(0), "1": shot(1)})
    for _ in range(3):
        mosaic.draw({"0": bad, "1": shot(1, 1)}, out)
        assert is_dead(tile_of(mosaic, out, "0"))
    assert mosaic.undecodable == 1
    assert mosaic.shown == {"0": TileState.NO_SIGNAL, "1": TileState.LIVE}
    mosaic.draw({"0": shot(0, 2)}, out)
    assert reading(mosaic, out, "0") == (0, 2)


@pytest.mark.parametrize("state", [TileState.STALE, TileState.FROZEN])
@pytest.mark.parametrize("framesize", ["VGA", "CIF"])
def test_what_is_not_live_has_not_its_colours(state: TileState, framesize: str) -> None:
    mosaic = Mosaic("01")
    frames = {"0": shot(0, 0, framesize), "1": shot(1)}
    live = mosaic.draw(frames)
    assert not is_colourless(live)
    image = mosaic.draw(frames, states={"0": state})
    tile = tile_of(mosaic, image, "0").astype(int)
    assert (tile[..., 0] == tile[..., 1]).all()
    assert tile[..., 1].max() < 128
    shown = tile[tile.any(axis=2)]
    assert set(np.unique(shown[:, 2] - shown[:, 1])) == {0 if state is TileState.STALE else 72}
    gray = tile_of(mosaic, live, "0").astype(int).mean(axis=2)
    assert np.corrcoef(gray.ravel(), tile[..., 1].ravel())[0, 1] > 0.98, "it is the same picture"
    assert (tile_of(mosaic, image, "1") == tile_of(mosaic, live, "1")).all()
    assert mosaic.shown == {"0": state, "1": TileState.LIVE}
    assert (mosaic.draw(frames) == live).all(), "live again"


def test_no_signal_wins_over_a_frame_and_a_state_over_none() -> None:
    mosaic = Mosaic("01")
    states = {"0": TileState.NO_SIGNAL, "1": TileState.STALE, "stranger": TileState.LIVE}
    image = mosaic.draw({"0": shot(0), "stranger": shot(3)}, states=states)
    assert is_dead(tile_of(mosaic, image, "0"))
    assert is_dead(tile_of(mosaic, image, "1"))


@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (3, 200), (200, 3), (1000, 30)])
def test_tiles_of_any_size_can_be_drawn(tile: tuple[int, int]) -> None:
    mosaic = Mosaic("01", tile=tile)
    image = mosaic.draw({"0": shot(0)})
    assert tile_of(mosaic, image, "1").max() > 0
    mosaic.draw({"0": shot(0)}, states={"0": TileState.FROZEN})


# --- arrays


def test_the_same_frame_is_not_decoded_again() -> None:
    mosaic = Mosaic("0")
    frame = shot(0)
    first = mosaic.draw({"0": frame})
    frame.jpeg = b"gone"
    assert (mosaic.draw({"0": frame}) == first).all()
    assert mosaic.undecodable == 0


def test_all_of_a_given_array_is_drawn() -> None:
    mosaic = Mosaic("012", tile=(120, 160), columns=2)
    big = np.full((300, 400, 3), 77, np.uint8)
    out = big[20:260, 10:330]
    assert mosaic.draw({"0": shot(0), "1": shot(1, 0, "HD")}, out) is out
    assert (out == mosaic.draw({"0": shot(0), "1": shot(1, 0, "HD")})).all()
    assert (out[120:, 160:] == BACKGROUND).all(), "the place without a camera"
    assert (big[:20] == 77).all()
    assert (big[:, 330:] == 77).all()


def test_an_array_of_another_shape_is_replaced() -> None:
    mosaic = Mosaic("01", columns=2)
    out = mosaic.draw({})
    mosaic.add("2")
    new = mosaic.draw({}, out)
    assert new is not out
    assert new.shape == mosaic.shape == (480, 640, 3)


def test_what_is_no_array_to_draw_into_is_refused() -> None:
    mosaic = Mosaic("0")
    locked = mosaic.draw({})
    locked.flags.writeable = False
    for bad in (locked, np.zeros(mosaic.shape, np.float32), [[0]]):
        with pytest.raises(ValueError, match="out must be a"):
            mosaic.draw({}, bad)  # type: ignore[arg-type]


def test_pictures_decoded_elsewhere_are_painted_in_place() -> None:
    mosaic = Mosaic("01", tile=(240, 320))
    out = mosaic.draw({"1": shot(1)})
    mosaic.paint(out, "0", shot(0, 9).image(scale=2))
    assert reading(mosaic, out, "0") == (0, 9)
    assert reading(mosaic, out, "1") == (1, 0)
    mosaic.paint(out, "0", shot(0, 10, "SVGA").image(scale=2))
    assert reading(mosaic, out, "0") == (0, 10)
    mosaic.paint(out, "0", shot(0, 11).image(gray=True))
    assert reading(mosaic, out, "0") == (0, 11)
    mosaic.paint(out, "0", shot(0, 12).image(scale=4), TileState.STALE)
    assert is_colourless(tile_of(mosaic, out, "0"))
    mosaic.paint(out, "0", None)
    assert is_dead(tile_of(mosaic, out, "0"))
    assert mosaic.shown == {"0": TileState.NO_SIGNAL, "1": TileState.LIVE}
    with pytest.raises(KeyError):
        mosaic.paint(out, "2", None)
    mosaic.add("2")
    mosaic.add("3", (5, 0))
    with pytest.raises(ValueError, match="'3'"):
        mosaic.paint(out, "3", None)


# --- places


def test_places_go_from_left_to_right_and_then_down() -> None:
    mosaic = Mosaic("abcde", tile=(30, 40), columns=2)
    assert [mosaic.place(name) for name in "abcde"] == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]
    assert mosaic.names == tuple("abcde")
    assert (mosaic.rows, mosaic.columns, mosaic.tile, mosaic.shape) == (3, 2, (30, 40), (90, 80, 3))
    assert mosaic.region("d") == (slice(30, 60), slice(40, 80))


def test_a_camera_keeps_its_place_whatever_the_others_do() -> None:
    mosaic = Mosaic("abcde", columns=2)
    mosaic.remove("b")
    mosaic.remove("c")
    assert [mosaic.place(name) for name in "ade"] == [(0, 0), (1, 1), (2, 0)]
    shape = mosaic.shape
    assert mosaic.add("f") == (0, 1)
    assert mosaic.add("g") == (1, 0)
    assert mosaic.add("h") == (2, 1)
    assert mosaic.shape == shape
    assert mosaic.add("i") == (3, 0)
    assert mosaic.names == ("a", "f", "g", "d", "e", "h", "i")
    for name in "iheda":
        mosaic.remove(name)
    assert mosaic.rows == 4, "the array does not shrink"
    assert mosaic.place("g") == (1, 0)


def test_the_tile_under_a_pixel() -> None:
    assert Mosaic("abc", tile=(30, 40), columns=2, rows=4).draw({}).shape == (120, 80, 3)
    with pytest.raises(ValueError, match="larger than"):
        Mosaic(rows=10**6)
    mosaic = Mosaic("abc", tile=(30, 40), columns=2)
    assert [mosaic.at(*point) for point in ((0, 0), (29.9, 39.9), (0, 40), (30, 0))] == ["a", "a", "b", "c"]
    assert [mosaic.at(*point) for point in ((30, 40), (-1, 0), (0, -0.1), (60, 0), (0, 80))] == [None] * 5
    mosaic.remove("b")
    assert mosaic.at(0, 50) is None


def test_a_place_can_be_chosen_as_on_a_plate() -> None:
    mosaic = Mosaic(columns=6, tile=(10, 10))
    assert mosaic.shape == (10, 60, 3)
    assert mosaic.add("D6", (3, 5)) == (3, 5)
    assert mosaic.shape == (40, 60, 3)
    assert mosaic.add("free") == (0, 0)
    for name, place in (("x", (3, 5)), ("x", (0, 6)), ("x", (-1, 0)), ("D6", (1, 1))):
        with pytest.raises(ValueError, match=r"place|'D6'"):
            mosaic.add(name, place)


def test_names_that_are_not_there() -> None:
    mosaic = Mosaic("a")
    for ask in (mosaic.place, mosaic.region, mosaic.remove):
        with pytest.raises(KeyError):
            ask("b")
    with pytest.raises(ValueError, match="'a'"):
        Mosaic("aa")


def test_mosaics_that_cannot_be_are_refused() -> None:
    for tile, columns in (((0, 10), None), ((10, 0), None), ((10, 10), 0)):
        with pytest.raises(ValueError, match="cannot be shown"):
            Mosaic("a", tile, columns)
    mosaic = Mosaic("a", (1000, 1000), 8)
    with pytest.raises(ValueError, match=f"larger than {MAX_PIXELS}"):
        mosaic.add("b", (8, 0))
    mosaic.add("b", (7, 7))


def test_cameras_come_and_go_while_another_thread_draws() -> None:
    mosaic = Mosaic(["0"], tile=(60, 80), columns=3)
    ended = threading.Event()
    wrong: list[object] = []

    def draw() -> None:
        out = None
        while not ended.is_set():
            out = mosaic.draw({str(camera): shot(camera) for camera in range(8)}, out)
            if read_strip(out[:60, :80]) != (0, 0):
                wrong.append(out)

    count = len([shot(camera) for camera in range(8)])  # made before, on one thread
    drawer = threading.Thread(target=draw)
    drawer.start()
    try:
        for round_ in range(100):
            for camera in range(1, count):
                mosaic.add(str(camera), (round_ % 4 + 1, camera % 3) if camera < 4 else None)
            assert mosaic.at(0, 0) == "0"
            for camera in range(1, count):
                mosaic.remove(str(camera))
    finally:
        ended.set()
        drawer.join(10)
    assert wrong == []
