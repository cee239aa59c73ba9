"""Runs read back: as sequences, arrays and on one axis of time; whole, in part, and while they grow."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from cli_support import Cli
from espressoscope import Fleet, FleetFile, RecordingError, open_run
from espressoscope.recording.layout import RECORDS_AT, Header, Shape
from espressoscope.recording.timeline import timeline
from espressoscope.recording.writer import RunWriter
from espressoscope.sim import simulate
from recording_support import SOFTWARE, Source, facts, jpeg, no_threads_kept
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from espressoscope.model import Frame

FACTS = {"A1": {"mac": "24:0A:C4:12:34:01", "pixel_um": 2.5}, "Cam 2": {}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Frame]]]:
    """A run of two cameras: one steady, one whose size changes twice, in three segments."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    writer = RunWriter(folder, SOFTWARE)
    sources = {name: Source(name) for name in FACTS}
    tracks = {name: writer.add(name, FACTS[name]) for name in FACTS}
    writer.start()
    sources["A1"].feed(tracks["A1"], 30)
    for size in ({}, {"width": 96, "height": 80}, {}):
        sources["Cam 2"].feed(tracks["Cam 2"], 10, **size)
    writer.close()
    assert writer.trouble is None
    return folder, {name: source.frames for name, source in sources.items()}


@pytest.fixture(autouse=True)
def _no_threads_kept() -> Iterator[None]:
    with no_threads_kept():
        yield


@pytest.fixture
def copy(recorded: tuple[Path, dict[str, list[Frame]]], tmp_path: Path) -> Path:
    return shutil.copytree(recorded[0], tmp_path / "moved" / "elsewhere")


def all_facts(frames: Iterable[Frame]) -> list[tuple[Any, ...]]:
    return [facts(frame) for frame in frames]


def listing(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob("*"))


def test_a_recording_is_a_sequence(recorded: tuple[Path, dict[str, list[Frame]]]) -> None:
    folder, sent = recorded
    with open_run(str(folder)) as run, run:
        recording = run["A1"]
        frames = sent["A1"]
        assert all_facts(recording) == all_facts(open_run(folder)["A1"]) == all_facts(frames)
        assert len(recording) == len(recording.records) == 30
        assert (
            facts(recording[-1])
            == facts(recording[29])
            == facts(recording[np.int64(29)])
            == facts(frames[29])
        )
        assert all_facts(recording[25:99:2]) == all_facts(frames[25::2])
        assert all_facts(recording[::-1]) == all_facts(reversed(recording)) == all_facts(frames[::-1])
        assert recording[30:] == []
        assert recording.sequences.tolist() == list(range(30))
        for index in (30, -31):
            with pytest.raises(IndexError, match="A1 has 30 frames, none at"):
                recording[index]
        with pytest.raises(TypeError):
            recording[None]  # type: ignore[call-overload]
        with pytest.raises(KeyError, match="A1, Cam 2"):
            run["B7"]
        assert repr(run) == "<Run run: A1, Cam 2>"
        assert repr(recording) == "<Recording of A1: 30 frames in 1 segments>"
    assert len(run["A1"]) == 30  # it holds nothing that would have been closed


def test_arrays_are_lazy_and_hold_what_was_there(recorded: tuple[Path, dict[str, list[Frame]]]) -> None:
    folder, sent = recorded
    recording = open_run(folder)["A1"]
    frames = recording.frames
    assert (frames.shape, frames.dtype, frames.chunksize) == ((30, 48, 64, 3), np.uint8, (1, 48, 64, 3))
    wanted = np.stack([frame.image() for frame in sent["A1"]])
    assert (frames.compute() == wanted).all()
    assert (frames[[3, 7], 10:20, ::2].compute() == wanted[[3, 7], 10:20, ::2]).all()
    assert (pickle.loads(pickle.dumps(frames))[5].compute() == wanted[5]).all()  # dask's other processes
    changed = open_run(folder)["Cam 2"]
    with pytest.raises(ValueError, match=r"Cam 2 changed its picture size \(0 to 9: 64 x 48, .*\.parts"):
        changed.frames  # noqa: B018
    parts = changed.parts
    assert [part.shape for part in parts] == [(10, 48, 64, 3), (10, 80, 96, 3), (10, 48, 64, 3)]
    assert (changed.array(parts[1])[9].compute() == sent["Cam 2"][19].image()).all()
    with pytest.raises(ValueError, match=r"\.xarray\(part\)"):
        changed.xarray()


def test_xarray_has_the_times(recorded: tuple[Path, dict[str, list[Frame]]]) -> None:
    folder, sent = recorded
    run = open_run(folder)
    array = run["A1"].xarray()
    assert array.dims == ("t", "y", "x", "c")
    assert array.t.values.astype(np.int64).tolist() == [frame.received_ns for frame in sent["A1"]]
    assert array.attrs.items() >= {"camera": "A1", **FACTS["A1"]}.items()
    assert float(array.x[-1]) == 63 * 2.5
    third = array.isel(t=3)
    assert int(third.sequence) == 3
    assert (third.values == sent["A1"][3].image()).all()
    moment = array.sel(t=array.t[4] + np.timedelta64(1, "ms"), method="ffill")
    assert int(moment.sequence) == 4
    tree = run.xarray()
    assert tree["A1/frames"].shape == (30, 48, 64, 3)
    assert tree["Cam 2/part-1/frames"].shape == (10, 80, 96, 3)


def test_a_run_copied_in_part(copy: Path, recorded: tuple[Path, dict[str, list[Frame]]]) -> None:
    _, sent = recorded
    second = sorted((copy / "Cam-2").glob("*.tif"))[1]
    away = copy.parent / second.name
    second.rename(away)
    for path in copy.glob("*/frames.csv"):
        path.unlink()
    shutil.rmtree(copy / "A1")
    run = open_run(copy)
    assert (list(run), run.absent) == (["Cam 2"], ("A1",))
    recording = run["Cam 2"]
    assert recording.absent == (1,)
    assert all_facts(recording) == all_facts([*sent["Cam 2"][:10], *sent["Cam 2"][20:]])
    # The first two frames of a size that came to stay are in the file before, too.
    assert all_facts(recording.records) == all_facts([*sent["Cam 2"][:12], *sent["Cam 2"][20:]])
    assert recording.log["gap"].nonzero()[0].tolist() == [12]
    summary = recording.summary()
    assert (summary["gaps"], summary["missing"], summary["absent"]) == (1, 8, 1)
    before = recording.frames
    # The file arrives, in two pieces: what was taken before stays what it was.
    data = away.read_bytes()
    second.write_bytes(data[:20])
    run.refresh()
    assert recording.unreadable == (second,)
    second.write_bytes(data)
    run.refresh()
    assert recording.unreadable == recording.absent == ()
    assert all_facts(recording) == all_facts(sent["Cam 2"])
    assert (before[10].compute() == sent["Cam 2"][20].image()).all()
    # Without run.json the folders' names are the cameras'.
    (copy / "run.json").unlink()
    assert list(open_run(copy)) == ["Cam-2"]
    run.refresh()
    assert list(run) == ["Cam 2"]
    for path in (copy / "Cam-2").iterdir():
        path.unlink()
    with pytest.raises(RecordingError, match="cannot be read any more") as caught:
        recording[0]
    assert caught.value.hint
    (copy / "Cam-2").rmdir()
    with pytest.raises(RecordingError, match=r"neither run\.json nor a segment"):
        open_run(copy)


def test_one_camera_can_be_opened_by_itself(
    copy: Path, recorded: tuple[Path, dict[str, list[Frame]]]
) -> None:
    _, sent = recorded
    for path in (copy / "Cam-2", copy / "Cam-2" / "00001.ome.tif"):
        run = open_run(path)
        assert list(run) == ["Cam 2"]
        assert all_facts(run["Cam 2"]) == all_facts(sent["Cam 2"])
        assert run.absent == ()
    assert list(open_run(copy / "run.json")) == list(FACTS)
    alone = shutil.copytree(copy / "Cam-2", copy.parent / "alone")
    run = open_run(alone)
    assert (list(run), len(run["alone"])) == (["alone"], 30)
    run.refresh()
    assert list(run) == ["alone"]
    for path, why in (
        (alone / "frames.csv", "it is a file"),
        (copy / "none", "no such folder"),
        (copy / ("n" * 300), "name too long"),
    ):
        with pytest.raises(RecordingError, match=f"is no run: .*{why}"):
            open_run(path)


def test_reading_changes_nothing(copy: Path) -> None:
    for path in (*copy.rglob("*"), copy):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = listing(copy)
    run = open_run(copy)
    assert sum(len(recording) for recording in run.values()) == 60
    run["A1"].frames.sum().compute()
    run.timeline()
    run.refresh()
    assert listing(copy) == before
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755)


@pytest.mark.parametrize(
    "cameras",
    [
        [
            {"name": "x", "folder": ".."},
            {"name": "y", "folder": "../../other"},
            {"name": "z", "folder": "/etc"},
        ],
        [{"name": 3, "folder": "A1"}, "A1", None, {"name": "A1"}, {"name": "q", "folder": "A1\0"}],
        "A1",
        {"A1": 3},
    ],
)
def test_a_run_json_that_lies(copy: Path, cameras: object) -> None:
    (copy / "run.json").write_text(json.dumps({"cameras": cameras}))
    run = open_run(copy)
    assert list(run) == ["A1", "Cam-2"]
    assert {recording.folder.parent for recording in run.values()} == {copy}
    names = [{"name": "same", "folder": "A1"}, {"name": "same", "folder": "Cam-2"}]
    (copy / "run.json").write_text(json.dumps({"cameras": names}))
    assert list(open_run(copy)) == ["same", "same-2"]


def test_a_camera_that_lies_about_its_size(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    track, source = writer.add("A1"), Source()
    writer.start()
    data = jpeg()
    at = data.index(b"\xff\xc0") + 5
    lie = data[:at] + b"\xff\xff\xff\xff" + data[at + 4 :]  # 65535 x 65535: 13 GB a picture
    source.feed(track, 3, data=lie, width=65535, height=65535)
    writer.close()
    recording = open_run(writer.path)["A1"]
    assert recording[0].jpeg == lie
    with pytest.raises(ValueError, match="A1 claim 65535 x 65535"):
        recording.frames  # noqa: B018


def test_info_of_what_is_there(copy: Path, tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    sorted((copy / "Cam-2").glob("*.tif"))[1].unlink()
    shutil.rmtree(copy / "A1")
    done = cli.run("info", copy)
    assert done.code == 0
    assert re.search(r"^Cam 2 +\S+Z +\S+Z +22 +1 +8 +0 +2 +0\.0$", done.out, re.MULTILINE)
    assert "1 files are not here" in done.out
    assert "Nothing is here of A1." in done.out
    # Records whose checksums are right and whose numbers are not: extremes of all fields.
    path = copy / "Cam-2" / "00000.ome.tif"
    data = path.read_bytes()[:RECORDS_AT]
    for time_ns in (-(2**63), 2**63 - 1, 0):
        for shape in (Shape(0, 0, 0, 0, 0), Shape(65535, 65535, 9, 0, 255)):
            data += Header(1, 200, 1, 0, time_ns, -1, 2**64 - 1, 2**32 - 1, 0, shape).pack()
    path.write_bytes(data)
    done = cli.run("info", copy, "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert (told["frames"], told["open"], told["absent"]) == (6 + 10, 1, 1)
    run = open_run(copy)
    assert len(run.timeline().times) > 0
    assert len(run["Cam 2"].parts) > 5
    assert [frame.status for frame in run["Cam 2"].records[:2]] == ["ok", "ok"]
    done = cli.run("info", copy / "Cam-2" / "frames.csv")
    assert (done.code, "it is a file" in done.err) == (1, True)
    cli.close()


def test_many_threads_read_while_it_grows(tmp_path: Path) -> None:
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    source, track = Source(), writer.add("A1")
    writer.start()
    source.feed(track, 5)
    wait_until(lambda: track.frames_written == 5, 20)
    run = open_run(writer.path)
    over = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        try:
            while not over.is_set():
                run.refresh()
                recording = run["A1"]
                frames = recording.snapshot()
                wrong.extend(
                    frame for frame in frames[-3:] if facts(frame) != facts(source.frames[frame.sequence])
                )
                assert len(recording.times) >= len(frames)
                assert len(recording) <= recording.frames.shape[0]
        except BaseException as error:
            wrong.append(error)
            raise

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for count in range(20):
            source.feed(track, 5)
            wait_until(lambda count=count: track.frames_written == 10 + 5 * count, 20)
    finally:
        over.set()
        for thread in threads:
            thread.join()
        writer.close()
    assert wrong == []
    run.refresh()
    assert all_facts(run["A1"]) == all_facts(source.frames)
    assert run.info["state"] == "closed"


def test_a_run_knows_where_cameras_stand(tmp_path: Path) -> None:
    with simulate(2, port=0, fps=20, framesize="QQVGA") as cameras:
        file = FleetFile.load(tmp_path / "lab.toml")
        for camera, name, well in zip(cameras, ("left", "right"), ("A1", "B3"), strict=True):
            file.add(camera.info, name)
            file.assign(name, "leaves", well, wells=24)
        file.save()
        with Fleet.load(tmp_path / "lab.toml") as fleet, fleet.record(tmp_path / "run", frames=1):
            pass
    run = open_run(tmp_path / "run")
    told = {name: (recording.info["plate"], recording.info["well"]) for name, recording in run.items()}
    assert told == {"left": ("leaves", "A1"), "right": ("leaves", "B3")}


# --- one axis of time

START = np.datetime64("2026-01-01T12:00:00", "ns")


def at(*seconds: float) -> NDArray[np.datetime64]:
    return START + np.array([round(each * 1e9) for each in seconds], "timedelta64[ns]")


def steady(fps: float, seconds: float, begin: float = 0.0) -> NDArray[np.datetime64]:
    return at(*(begin + np.arange(round(fps * seconds)) / fps))


def test_one_camera_is_its_own_axis() -> None:
    random = np.random.default_rng(1)
    times = at(*np.cumsum(random.uniform(0.03, 0.05, 200)))
    found = timeline({"A1": times})
    assert (found.times == times).all()
    assert found.frames["A1"].tolist() == list(range(200))
    assert found.even
    assert found.step_s == pytest.approx(0.04, rel=0.05)


def test_each_camera_shows_its_newest_frame_at_every_instant() -> None:
    random = np.random.default_rng(2)
    times = {
        "fast": steady(25, 20) + random.integers(0, 15_000_000, 500).astype("timedelta64[ns]"),
        "slow": steady(3, 20, 0.01),
        "late": steady(25, 10, 6.0),
        "broken": np.concatenate([steady(25, 4), steady(25, 6, 14.0)]),
        "nothing": at(),
    }
    found = timeline(times)
    assert found.even
    assert len(found.times) <= 600
    for name, frames in found.frames.items():
        own = times[name]
        assert set(frames[frames >= 0].tolist()) == set(range(len(own)))  # each is to be seen
        for instant, frame in zip(found.times, frames.tolist(), strict=True):
            newest = int(np.searchsorted(own, instant, "right")) - 1
            if newest < 0 or instant - own[newest] > np.timedelta64(1001, "ms"):
                assert frame == -1
            else:
                assert frame == newest
    silent = (found.times > at(5.1)) & (found.times < at(14.0))
    assert (found.frames["broken"][silent] == -1).all()
    assert silent.sum() > 200
    position = (found.times - found.times[0]) / np.timedelta64(1, "s")
    assert np.abs(position - np.arange(len(position)) * found.step_s).max() < 1.0


def test_pauses_that_are_too_long_are_one_dark_instant_each() -> None:
    bursts = [steady(25, 0.4, begin) for begin in (0, 600, 1200)]
    found = timeline({"A1": np.concatenate(bursts)})
    assert not found.even
    assert found.frames["A1"].tolist() == [*range(10), -1, *range(10, 20), -1, *range(20, 30)]
    points = {"A1": at(0, 600, 1200, 1800), "B1": at(5, 605, 1205, 1805), "C1": at(9, 609)}
    found = timeline(points)  # a time-lapse, one camera after the other
    assert found.even
    assert [frames.tolist() for frames in found.frames.values()] == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 1, 1]]
    assert (found.times == at(9, 609, 1205, 1805)).all()
    assert timeline({"A1": at()}).times.shape == (0,)
    assert timeline({"A1": at(3)}).frames["A1"].tolist() == [0]


def test_opening_reads_no_picture(recorded: tuple[Path, dict[str, list[Frame]]], monkeypatch: Any) -> None:
    import espressoscope.decode as decode

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a picture was decoded")

    monkeypatch.setattr(decode, "decode", refuse)
    run = open_run(recorded[0])
    assert run["A1"].frames.shape[0] == run["A1"].xarray().shape[0] == len(run.timeline().times) == 30
    frame = run["A1"][0]
    assert frame.jpeg == jpeg(seed=0)
    with pytest.raises(AssertionError, match="was decoded"):
        frame.image()
