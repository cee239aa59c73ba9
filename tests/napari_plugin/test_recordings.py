"""Recordings opened by napari, as somebody does who drops one onto it: the right frame at the right time."""

from __future__ import annotations

import itertools
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import simplejpeg

from espressoscope import open_run, sim
from espressoscope.recording.writer import RunWriter
from espressoscope.sim.strip import draw_strip
from recording_support import SOFTWARE, Source

pytest.importorskip("napari")

import espressoscope.decode as decode
from espressoscope.napari_plugin.run_layers import ABOUT, MOST_LAYERS
from espressoscope.napari_plugin.run_reader import get_reader, read_run

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import napari
    from numpy.typing import NDArray

pytestmark = pytest.mark.filterwarnings("default")

SECOND = 10**9
RED, BLUE = (200, 30, 20), (20, 60, 210)


def picture(camera: int, frame: int, size: tuple[int, int] = (120, 160), colour: Any = RED) -> bytes:
    """Make a picture that tells camera and frame."""
    image = np.empty((*size, 3), np.uint8)
    image[:] = colour
    draw_strip(image, camera, frame)
    return simplejpeg.encode_jpeg(image, 90, colorspace="RGB", colorsubsampling="422")


def record(folder: Path, cameras: dict[str, tuple[dict[str, Any], list[tuple[float, bytes]]]]) -> None:
    """Record cameras whose frames came at these seconds."""
    writer = RunWriter(folder, SOFTWARE)
    tracks = {name: (writer.add(name, facts), frames) for name, (facts, frames) in cameras.items()}
    writer.start()
    begin_ns = 1_790_000_000 * SECOND
    for name, (track, frames) in tracks.items():
        source = Source(name)
        for seconds, data in frames:
            source._now_ns = begin_ns + round(seconds * SECOND)
            height, width = simplejpeg.decode_jpeg_header(data)[:2]
            assert not track.put(source.frame(data, width=width, height=height))
    writer.close()
    assert writer.trouble is None


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cameras: one quick, with a break of 4 s; one slow, that begins later and changes its size."""
    folder = tmp_path_factory.mktemp("runs") / "pair"
    quick = [(k / 25 + (4 if k >= 50 else 0), picture(1, k)) for k in range(100)]
    sizes = [(120, 160)] * 20 + [(240, 320)] * 10
    slow = [(1 + k / 4, picture(2, k, size, BLUE)) for k, size in enumerate(sizes)]
    facts = {"pixel_um": 2.0}
    record(folder, {"A1": (facts, quick), "B1": (facts, slow)})
    return folder


def opened(viewer: napari.Viewer, path: Path) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(viewer.open(str(path), plugin="espressoscope"))


def shown(layer: Any, step: int) -> NDArray[np.uint8]:
    return np.asarray(layer.data[step])


def told(image: NDArray[np.uint8]) -> tuple[int, int] | None:
    """Read camera and frame; a dark picture reads as camera 0, which there is none of."""
    reading = sim.read_strip(image)
    return (reading.camera, reading.frame) if reading is not None and reading.camera else None


def newest(times: NDArray[Any], instant: Any) -> int:
    return int(np.searchsorted(times, instant, "right")) - 1


def test_cameras_share_one_axis_of_time(viewer: napari.Viewer, pair: Path, qtbot: Any) -> None:
    first, second = opened(viewer, pair)
    assert [layer.name for layer in (first, second)] == ["A1", "B1"]
    assert first.rgb and second.rgb  # noqa: PT018
    about = first.metadata[ABOUT]
    times = about["times"]
    assert first.data.shape == (len(times), 120, 160, 3)
    assert second.data.shape == (len(times), 120, 160, 3)
    # Beside each other, in um; seconds along the slider.
    assert first.extent.world[1, 2] < second.extent.world[0, 2]
    assert first.scale.tolist()[1:] == [2.0, 2.0]
    assert [str(unit) for unit in first.units] == ["second", "micrometer", "micrometer"]
    assert viewer.dims.axis_labels[0] == "time"
    assert viewer.dims.nsteps[0] == len(times)
    end = first.scale[0] * (len(times) - 1)
    assert end == pytest.approx((times[-1] - times[0]) / np.timedelta64(1, "s"), abs=1e-6)
    run = open_run(pair)
    seen: set[tuple[int, int] | None] = set()
    for step, instant in enumerate(times):
        for camera, (name, layer) in enumerate((("A1", first), ("B1", second)), 1):
            own = run[name].times
            number = newest(own, instant)
            old = number < 0 or instant - own[number] > np.timedelta64(1001, "ms")
            found = told(shown(layer, step))
            assert found == (None if old else (camera, number))
            seen.add(found)
    assert len(seen) == 100 + 30 + 1  # every frame of both, and none
    # What is on the screen is what the slider says, and in its colours.
    for step in (len(times) - 1, 30):
        viewer.dims.set_current_step(0, step)
        qtbot.wait(50)
        screen = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        height, width = screen.shape[:2]
        most = min((width / 2) ** 2 * 3 / 4, height**2 * 4 / 3)  # two pictures of 4:3 beside each other
        for colour in (RED, BLUE):
            assert (np.abs(screen - colour).max(axis=2) < 25).sum() > 0.5 * most
        told_time = viewer.canvas.overlays.text.text
        assert told_time.startswith(str(times[step].astype("datetime64[ms]")).replace("T", "  "))
        assert told_time.endswith(f"+{(times[step] - times[0]) / np.timedelta64(1, 's'):.3f} s")
    dark = np.flatnonzero(about["frames"]["A1"] < 0)
    assert len(dark) > 50
    assert shown(first, int(dark[0])).mean() < 60
    viewer.layers.clear()
    assert viewer.canvas.overlays.text.text == ""


def test_a_recording_does_not_stand_where_cameras_are_live(
    viewer: napari.Viewer, pair: Path, qtbot: Any
) -> None:
    from espressoscope.napari_plugin.sample_data import open_widget

    with sim.SimulatedCamera(name="A1", framesize="QVGA", fps=10) as camera:
        widget = open_widget(viewer)
        widget.session.add([camera.url])
        qtbot.waitUntil(lambda: bool(widget.screen.layers), timeout=30_000)
        ((name, live),) = widget.screen.layers.items()
        qtbot.waitUntil(lambda: widget.screen.shown_age_s(name) is not None, timeout=30_000)
        once, again = opened(viewer, pair), opened(viewer, pair)
        assert [layer.name for layer in once] == ["A1 of pair", "B1 of pair"]
        ends = [
            (layer.extent.world[0][-1], layer.extent.world[1][-1]) for layer in (*again, *once, live.layer)
        ]
        assert ends == sorted(ends)
        assert all(right < left for (_, right), (left, _) in itertools.pairwise(ends)), "none covers another"
        middle, zoom = viewer.scene.camera.center[-1], viewer.scene.camera.zoom
        half = viewer.canvas.size[1] / 2 / zoom
        assert middle - half < ends[0][0], "all are in view"
        assert ends[-1][1] < middle + half
        session = widget.session
        viewer.window.remove_dock_widget(widget)
        assert session.wait_closed(10)


def test_a_recording_stands_beside_what_waits_and_what_comes_later(
    viewer: napari.Viewer, pair: Path, qtbot: Any
) -> None:
    from espressoscope.napari_plugin.sample_data import open_widget

    def spans(layers: Iterable[Any]) -> list[tuple[float, float]]:
        """Give where layers begin and end, from left to right; none of them covers another."""
        ends = sorted((layer.extent.world[0][-1], layer.extent.world[1][-1]) for layer in layers)
        assert all(right < left for (_, right), (left, _) in itertools.pairwise(ends))
        return ends

    with sim.simulate(2, port=0, framesize="QVGA", fps=10) as cameras:
        # First the widget, then the recording; then cameras, for which a layer has waited.
        widget = open_widget(viewer)
        qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=30_000)
        opened(viewer, pair)
        spans(viewer.layers)
        widget.session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: len(widget.screen.layers) == 2, timeout=30_000)
        assert len(spans(viewer.layers)) == 4
        session = widget.session
        viewer.window.remove_dock_widget(widget)
        assert session.wait_closed(10)
        qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
        viewer.layers.clear()

        # First the recording, then the widget, then a second recording.
        opened(viewer, pair)
        widget = open_widget(viewer)
        qtbot.waitUntil(lambda: len(viewer.layers) == 3, timeout=30_000)
        spans(viewer.layers)
        widget.session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: len(widget.screen.layers) == 2, timeout=30_000)
        opened(viewer, pair)
        ends = spans(viewer.layers)
        assert len(ends) == 6
        assert {live.layer.extent.world[0][-1] for live in widget.screen.layers.values()} == {
            left for left, _ in ends[-2:]
        }
        session = widget.session
        viewer.window.remove_dock_widget(widget)
        assert session.wait_closed(10)


def test_two_recordings_stand_beside_each_other_and_the_time_is_that_of_the_topmost(
    viewer: napari.Viewer, pair: Path, tmp_path: Path
) -> None:
    record(tmp_path / "later", {"C1": ({"pixel_um": 2.0}, [(60 + k / 5, picture(3, k)) for k in range(100)])})
    times = {path.name: open_run(path) for path in (pair, tmp_path / "later")}
    first, _ = opened(viewer, pair)
    (second,) = opened(viewer, tmp_path / "later")
    assert [layer.name for layer in (first, second)] == ["A1", "C1 of later"]
    assert second.extent.world[1][-1] < first.extent.world[0][-1]
    viewer.dims.set_point(0, 0.0)

    def told_of(name: str, camera: str) -> bool:
        begin = str(times[name][camera].times[0].astype("datetime64[ms]")).replace("T", "  ")
        return begin in viewer.canvas.overlays.text.text

    text = viewer.canvas.overlays.text
    assert told_of("later", "C1")
    assert text.text.startswith("later  ")
    viewer.layers.move(2, 0)
    assert told_of("pair", "A1")
    assert text.text.startswith("pair  ")
    viewer.layers.move(0, 3)
    assert text.text.startswith("later  ")
    second.visible = False
    assert told_of("pair", "A1")
    assert not text.text.startswith("pair"), "it is the only one to be seen"
    second.visible = True
    assert text.text.startswith("later  ")


def test_a_plate_is_a_mosaic(viewer: napari.Viewer, tmp_path: Path, monkeypatch: Any) -> None:
    wells = {"A1": (0, 0), "B3": (1, 2), "D6": (3, 5)}
    place = {"plate": "leaves"}
    cameras = {
        f"cam {well}": ({"well": well, **place}, [(k / 10, picture(number, k)) for k in range(5)])
        for number, well in enumerate(wells, 1)
    }
    record(tmp_path / "run", {**cameras, "overview": ({}, [(0.0, picture(9, 0))])})
    plate, overview = opened(viewer, tmp_path / "run")
    assert (plate.name, overview.name) == ("leaves", "overview")
    assert plate.multiscale
    assert [level.shape for level in plate.data] == [(5, 480, 960, 3), (5, 240, 480, 3)][: len(plate.data)]
    assert viewer.dims.nsteps[0] == 5
    for level in plate.data:
        high, wide = level.shape[1] // 4, level.shape[2] // 6
        image = np.asarray(level[3])
        for number, (row, column) in enumerate(wells.values(), 1):
            tile = image[row * high : (row + 1) * high, column * wide : (column + 1) * wide]
            if wide >= 160:
                assert told(tile) == (number, 3)
            assert np.abs(tile[high // 2, wide // 2].astype(int) - RED).max() < 12
        assert image[: high // 2, wide:].max() < 130  # wells without a camera
    # Only what is looked at is decoded.
    decoded: list[int] = []
    real = decode.decode

    def count(frame: Any, **keys: Any) -> Any:
        decoded.append(frame.sequence)
        return real(frame, **keys)

    monkeypatch.setattr(decode, "decode", count)
    np.asarray(plate.data[0][2, 130:200, 330:400])
    assert decoded == [2]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "long"
    small = [picture(0, k, (32, 64)) for k in range(50)]
    record(folder, {"A1": ({}, [(k / 25, small[k % 50]) for k in range(1000)])})
    return folder


def test_opening_decodes_what_is_shown_and_no_more(
    viewer: napari.Viewer, long: Path, monkeypatch: Any
) -> None:
    decoded: list[int] = []
    real = decode.decode

    def count(frame: Any, **keys: Any) -> Any:
        decoded.append(frame.sequence)
        return real(frame, **keys)

    monkeypatch.setattr(decode, "decode", count)
    (layer,) = opened(viewer, long / "A1" / "00000.ome.tif")
    assert layer.data.shape == (1000, 32, 64, 3)
    assert len(set(decoded)) <= 2
    assert layer.data[10:13].shape == (3, 32, 64, 3)
    assert (layer.data[5, ::2, 3, 0] == layer.data[5][::2, 3, 0]).all()
    assert len(set(decoded)) <= 6


def test_what_can_be_dropped(viewer: napari.Viewer, pair: Path, tmp_path: Path) -> None:
    (layer,) = opened(viewer, pair / "B1")
    assert layer.name == "B1"
    viewer.layers.clear()
    assert get_reader(str(pair / "run.json")) is read_run
    copy = shutil.copytree(pair, tmp_path / "killed")
    (copy / "run.json").unlink()
    tif = copy / "A1" / "00000.ome.tif"
    tif.write_bytes(tif.read_bytes()[:60_000])  # cut off in the middle
    shutil.rmtree(copy / "B1")
    (layer,) = opened(viewer, copy)
    assert 5 < layer.data.shape[0] < 100
    assert told(shown(layer, 5)) == (1, 5)
    viewer.layers.clear()
    # What is no recording is left to others; one without a picture says so.
    (tmp_path / "empty").mkdir()
    (tmp_path / "00000.ome.tif").write_bytes(b"II+\0 somebody else's")
    for path in (tmp_path / "empty", tmp_path / "00000.ome.tif", tmp_path / "nothing"):
        assert get_reader(str(path)) is None
    shutil.rmtree(copy / "A1")
    (copy / "run.json").write_text('{"state": "recording"}')
    assert get_reader(str(copy)) is read_run
    with pytest.raises(ValueError, match="no picture in"):
        read_run(str(copy))


def test_many_cameras_are_one_layer(viewer: napari.Viewer, tmp_path: Path) -> None:
    count = MOST_LAYERS + 2
    record(tmp_path / "run", {f"cam {k}": ({}, [(0.0, picture(k + 1, 0))]) for k in range(count)})
    (layer,) = opened(viewer, tmp_path / "run")
    assert layer.name == f"{count} cameras"
    places = layer.metadata[ABOUT]["places"]
    image = np.asarray(layer.data[0][0])
    for number, (row, column) in enumerate(places.values(), 1):
        assert told(image[row * 120 : (row + 1) * 120, column * 160 : (column + 1) * 160]) == (number, 0)


def test_the_manifest_is_valid() -> None:
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("espressoscope")
    manifest.validate_imports()
    assert manifest.contributions.readers
