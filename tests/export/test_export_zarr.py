"""OME-Zarr, opened by programs that know nothing of ours: Zarr, dask, xarray, ome-zarr-py and napari."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope.recording.layout import SLOTS
from export_support import LARGE, START_NS, Tape, eventful, plain, whole, write_run

if TYPE_CHECKING:
    from pathlib import Path

ODD = "B: 1/x"
LAST = SLOTS + 50

# Runs in an interpreter that imports nothing of ours: the codec comes by its entry point.
READ = """
import contextlib, io, json, sys, warnings
warnings.simplefilter("ignore")  # those of napari and pydantic about each other
import numpy as np, zarr
folder, last = sys.argv[1], int(sys.argv[2])
told, arrays = {}, {}
long = zarr.open_group(folder + "/long.zarr", mode="r")
told["ours before"] = [name for name in sys.modules if name.startswith("espressoscope")]
for number in (0, 9999, 10000, last - 1):
    arrays[f"long {number}"] = long["0"][number]
told["shape"], told["chunks"], told["shards"] = long["0"].shape, long["0"].chunks, long["0"].shards
arrays["times"], arrays["sequence"] = long["t"][:], long["sequence"][:]
import dask.array as da
lazy = da.from_zarr(folder + "/long.zarr/0")
told["dask chunks"] = lazy.chunksize
arrays["dask"] = lazy[9998:10002].compute()
import xarray
series = xarray.open_zarr(folder + "/side.zarr/0", consolidated=False)
arrays["xarray"] = series["0"].t.values
with contextlib.redirect_stdout(io.StringIO()):  # napari-ome-zarr prints what it reads
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    (plate,) = Reader(parse_url(folder + "/plate.zarr"))()
    arrays["plate"] = plate.data[0].compute()
    (image,) = Reader(parse_url(folder + "/side.zarr/0"))()
    told["image"] = [image.data[0].shape, image.metadata["axes"], image.metadata["channel_names"]]
    import ome_zarr_models
    told["models"] = [
        type(ome_zarr_models.open_ome_zarr(zarr.open_group(f"{folder}/{name}", mode="r"))).__name__
        for name in ("plate.zarr", "side.zarr/0", "side.zarr/2")
    ]
    from napari.components import ViewerModel
    from npe2 import PluginManager
    PluginManager.instance().discover()
    for name in ("plate.zarr", "side.zarr"):
        viewer = ViewerModel()
        layers = viewer.open(f"{folder}/{name}", plugin="napari-ome-zarr")
        told[name] = [[x.name, x.data.shape, x.colormap.name, list(x.contrast_limits)] for x in layers]
        told[name + " scale"] = [float(layers[0].scale[0]), str(layers[0].units[0])]
        told[name + " pixel"] = [[list(map(float, x.scale[-2:])), str(x.units[-1])] for x in layers[::3]]
        first = [np.asarray(layer.data[1]) for layer in layers]
        for number in range(0, len(first), 3):
            arrays[f"{name} {number // 3}"] = np.stack(first[number : number + 3], -1)
import logging
from espressoscope.export.zarr_codec import undecodable
warnings_seen = []
logging.getLogger("espressoscope").addHandler(logging.Handler())
logging.getLogger("espressoscope").handlers[0].emit = lambda record: warnings_seen.append(record.getMessage())
broken = zarr.open_array(folder + "/broken.zarr/0", mode="r")
arrays["broken"] = da.from_zarr(broken).compute()
told["undecodable"], told["warnings"] = undecodable(), warnings_seen
try:
    zarr.open_array(folder + "/broken.zarr/0", mode="r+")[0] = 1
except NotImplementedError as error:
    told["writing"] = str(error)
np.savez(folder + "/seen.npz", **arrays)
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def tapes() -> dict[str, Tape]:
    return {
        "long": Tape("long").steady(LAST, size=(32, 24)),
        "A1": plain(),
        ODD: eventful(),
        "C1": plain("C1", 20),
    }


@pytest.fixture(scope="module")
def folder(tapes: dict[str, Tape], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, what was made of it, and what others saw in that."""
    folder = tmp_path_factory.mktemp("zarr")
    facts = {"A1": {"plate": "leaves", "well": "B3"}, ODD: {"pixel_um": 2.5}}
    run = es.open_run(write_run(folder / "run", tapes.values(), facts))
    es.export_run(run, "ome-zarr", folder / "long.zarr", cameras=["long"])
    es.export_run(run, "ome-zarr", folder / "side.zarr", cameras=["A1", ODD])
    es.export_run(run, "ome-zarr", folder / "plate.zarr", cameras=["A1", "C1"], wells={"C1": "C05"}, end=0.5)
    export_damaged(folder, tapes["C1"])
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder), str(LAST)],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
        env={**os.environ, "NAPARI_CONFIG": ""},
    )
    assert done.returncode == 0, done.stderr
    (folder / "told.json").write_text(done.stdout.splitlines()[-1])
    return folder


def export_damaged(folder: Path, tape: Tape) -> None:
    """Export a run whose file has been damaged, copied, and throw the run away."""
    run = write_run(folder / "damaged", [tape])
    (segment,) = es.open_run(run)["C1"].segments
    entries = segment.contents.entries
    other_size = Tape("x").add(0, size=(16, 8)).jpeg
    with segment.path.open("r+b") as file:
        for place, junk in ((3, b"junk"), (5, tape.frames[5].jpeg[:-150]), (7, other_size)):
            room = int(entries[place]["bytes"])
            file.seek(int(entries[place]["offset"]))
            file.write(junk.ljust(room, b"\0"))
    done = es.export_run(run, "ome-zarr", folder / "broken.zarr", end=0.7)  # a part: it is copied, and read
    assert done.cameras[0].damaged == 3
    assert any("3 frames are damaged" in note for note in done.notes)
    shutil.rmtree(run)


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "told.json").read_text())
    return found


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    with np.load(folder / "seen.npz") as file:
        return dict(file)


def test_zarr_and_dask_see_the_pixels_of_every_frame(
    folder: Path, tapes: dict[str, Tape], told: dict[str, Any], seen: dict[str, Any]
) -> None:
    assert told["ours before"] == []
    frames = tapes["long"].frames
    for number in (0, 9999, 10000, LAST - 1):
        assert (seen[f"long {number}"] == frames[number].image().transpose(2, 0, 1)).all()
    assert told["shape"] == [LAST, 3, 24, 32]
    assert told["chunks"] == told["dask chunks"] == [1, 3, 24, 32]
    assert told["shards"] == [SLOTS, 3, 24, 32]
    assert (seen["dask"] == np.stack([f.image().transpose(2, 0, 1) for f in frames[9998:10002]])).all()
    assert seen["times"].tolist() == [frame.received_ns for frame in frames]
    assert seen["sequence"].tolist() == [frame.sequence for frame in frames]


def test_a_whole_recording_costs_no_room(folder: Path) -> None:
    run = es.open_run(folder / "run")
    for number, segment in enumerate(run["long"].segments):
        shard = folder / "long.zarr" / "0" / "c" / str(number) / "0" / "0" / "0"
        assert shard.samefile(segment.path)
    (segment,) = run["A1"].segments
    assert (folder / "side.zarr" / "0" / "0" / "c" / "0" / "0" / "0" / "0").samefile(segment.path)
    own = folder / "plate.zarr" / "B" / "3" / "0" / "0" / "c" / "0" / "0" / "0" / "0"
    assert own.stat().st_nlink == 1  # of a part of the time the JPEGs are copied


def test_a_plate_in_ome_zarr_py_and_napari(
    tapes: dict[str, Tape], told: dict[str, Any], seen: dict[str, Any]
) -> None:
    assert told["models"] == ["HCS", "Image", "Image"]
    frames = {n: [f for f in tapes[n].frames if f.received_ns < START_NS + 500_000_000] for n in ("A1", "C1")}
    count = max(map(len, frames.values()))
    assert seen["plate"].shape == (count, 3, 96, 128)  # rows B and C, columns 3 and 5
    for number, frame in enumerate(frames["A1"]):
        assert (seen["plate"][number, :, :48, :64] == frame.image().transpose(2, 0, 1)).all()
    assert (seen["plate"][1, :, 48:, 64:] == frames["C1"][1].image().transpose(2, 0, 1)).all()
    assert not seen["plate"][:, :, 48:, :64].any()
    names = [[f"A1: {name}", [count, 96, 128], name, [0, 255]] for name in ("red", "green", "blue")]
    assert told["plate.zarr"] == names
    assert (seen["plate.zarr 0"][:48, :64] == frames["A1"][1].image()).all()


def test_images_side_by_side_in_napari(
    tapes: dict[str, Tape], told: dict[str, Any], seen: dict[str, Any]
) -> None:
    layers = told["side.zarr"]
    assert [layer[0].split(": ")[-1] for layer in layers] == ["red", "green", "blue"] * 3
    assert [layer[2] for layer in layers] == ["red", "green", "blue"] * 3
    assert [layer[1] for layer in layers[::3]] == [[30, 48, 64], [11, 48, 64], [6, 64, 96]]
    assert layers[6][0] == "x part 2: red"  # of "B: 1/x" napari-ome-zarr shows what is behind the slash
    for number, frames in enumerate((tapes["A1"].frames, whole(tapes[ODD]), whole(tapes[ODD], LARGE))):
        assert (seen[f"side.zarr {number}"] == frames[1].image()).all()
    times = [frame.received_ns for frame in tapes["A1"].frames]
    scale, unit = told["side.zarr scale"]
    assert scale == pytest.approx((times[-1] - times[0]) / 1e9 / 29)
    assert unit == "second"
    assert told["side.zarr pixel"] == [[[1.0, 1.0], "pixel"], *[[[2.5, 2.5], "micrometer"]] * 2]
    shape, axes, channels = told["image"]
    assert (shape, channels) == ([30, 3, 48, 64], ["red", "green", "blue"])
    assert [axis["name"] for axis in axes] == ["t", "c", "y", "x"]
    assert (seen["xarray"] == np.array(times, "datetime64[ns]")).all()


def test_broken_frames_are_black_and_counted_and_end_nothing(
    tapes: dict[str, Tape], told: dict[str, Any], seen: dict[str, Any]
) -> None:
    frames = tapes["C1"].frames
    found = seen["broken"]
    assert not found[3].any()  # nothing of it can be read
    assert not found[7].any()  # a picture of another size
    part = frames[5].image().transpose(2, 0, 1)
    assert (found[5, :, :8] == part[:, :8]).all()  # its readable part
    assert not (found[5] == part).all()
    for place in set(range(len(found))) - {3, 5, 7}:
        assert (found[place] == frames[place].image().transpose(2, 0, 1)).all()
    assert told["undecodable"] == 2
    assert ["cannot be decoded" in text for text in told["warnings"]] == [True]  # once
    assert "only reads" in told["writing"]


def test_what_makes_no_plate_is_told(folder: Path, tmp_path: Path) -> None:
    run = folder / "run"
    done = es.export_run(run, "ome-zarr", tmp_path / "a.zarr", wells={ODD: "A1"})
    assert any("no plate, but images side by side: long has no well" in note for note in done.notes)
    done = es.export_run(run, "ome-zarr", tmp_path / "b.zarr", cameras=["A1", ODD], wells={ODD: "A1"})
    assert any(f"{ODD} changed its picture size" in note for note in done.notes)
    one = es.export_run(
        run, "ome-zarr", tmp_path / "c", cameras=["A1"]
    )  # one camera in a well: a plate of one
    assert (one.path / "B" / "3" / "0" / "0" / "zarr.json").is_file()
    assert any("ends in .zarr" in note for note in one.notes)
    for wells, says in (({"A1": "Z9"}, "no well"), ({"A9": "A1"}, "none of this run's cameras")):
        with pytest.raises(ValueError, match=says):
            es.export_run(run, "ome-zarr", tmp_path / "d.zarr", wells=wells)
