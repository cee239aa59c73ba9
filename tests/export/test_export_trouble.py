"""Exports that are interrupted, killed, refused or short of room, and runs that are not in order."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

import espressoscope as es
from cli_support import Cli
from espressoscope.export.staging import staged, write_json
from espressoscope.recording.writer import RunWriter
from export_support import Tape, eventful, plain, write_run
from recording_support import SOFTWARE
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FORMATS = {"mkv": "films", "jpeg": "files", "ome-zarr": "a.zarr", "contact-sheet": "sheet.png"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run", [plain(), eventful("B1")])


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    runner = Cli(tmp_path)
    yield runner
    runner.close()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_two_exports_to_one_name_do_not_touch_each_others_work(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def both() -> None:
        with staged(out, folder=True, replace=False) as first:
            (first / "picture").write_bytes(b"1")
            with staged(out, folder=True, replace=False) as second:
                (second / "other picture").write_bytes(b"2")
            assert names(first) == ["picture"]

    with pytest.raises(es.ExportError):  # the name is taken by now
        both()
    assert names(tmp_path) == ["out"]
    assert names(out) == ["other picture"]


def test_what_is_put_into_an_old_export_while_a_new_one_is_made_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "pictures"

    def export(meanwhile: Callable[[], object]) -> None:
        with staged(out, folder=True, replace=True) as early:
            write_json(early / "export.json", {"espressoscope": {"export": "jpeg"}})
            meanwhile()

    export(lambda: None)
    with pytest.raises(es.ExportError, match="no export wrote: my counts"):
        export(lambda: (out / "my counts.txt").write_text("a day of counting"))
    assert names(tmp_path) == ["pictures"]
    assert (out / "my counts.txt").read_text() == "a day of counting"


def test_a_home_of_nobody_is_no_place(run: Path) -> None:
    with pytest.raises(es.ExportError, match="~nobody-here stands for a user's home"):
        es.export_run(run, "jpeg", "~nobody-here/pictures")


def test_the_command(run: Path, cli: Cli, tmp_path: Path) -> None:
    first = cli.run(
        "export", run, "--to", "jpeg", "-o", "files", "--camera", "A1", "--until", "0.5", "--json"
    )
    assert first.code == 0
    (done,) = [line for line in first.objects if line["state"] == "done"]
    assert (done["camera"], done["frames"], done["total"]) == ("A1", 13, 13)
    assert len(list((tmp_path / "files" / "A1").glob("*.jpg"))) == 13
    again = ("export", run, "--to", "jpeg", "-o", "files")
    assert "exists already" in cli.fails(2, *again)
    assert cli.run(*again, "--force").code == 0
    assert names(tmp_path / "files") == ["A1", "B1", "export.json"]
    # What no export wrote is not replaced, by no option.
    (tmp_path / "files" / "notes.txt").write_text("mine")
    assert "no export wrote: notes.txt" in cli.fails(1, *again, "--force")
    (tmp_path / "files" / "notes.txt").unlink()
    segment = run / "A1" / "00000.ome.tif"
    before = segment.read_bytes()
    told = cli.fails(2, "export", run, "--to", "contact-sheet", "-o", segment, "--force")
    assert "which an export never changes" in told
    assert segment.read_bytes() == before
    assert "seconds" in cli.fails(2, *again[:-1], "x", "--from", "noon", "--camera", "A1")
    assert names(tmp_path) == ["files"]


def test_nothing_but_exports_is_ever_replaced(run: Path, tmp_path: Path) -> None:
    """Not by force, not under another name, and not by way of the files an OME-Zarr shares with its run."""
    other = shutil.copytree(run, tmp_path / "other")
    linked = tmp_path / "linked"
    linked.symlink_to(run)
    homes = (run, other)
    before = {path: path.read_bytes() for home in homes for path in home.rglob("*") if path.is_file()}
    segment = "A1/00000.ome.tif"
    for to, out in [
        ("contact-sheet", run / segment), ("contact-sheet", linked / segment), ("ome-zarr", run),
        ("mkv", linked), ("jpeg", run / "A1" / "new"), ("jpeg", run.parent),
        ("contact-sheet", other / segment),
    ]:  # fmt: skip
        with pytest.raises(es.ExportError, match="which an export never changes"):
            es.export_run(run, to, out, force=True)  # type: ignore[arg-type]
    for to, name, mine in [
        ("ome-zarr", "a.zarr", "c/0.txt"), ("mkv", "films", "A2.mkv"), ("jpeg", "files", "A1/best.jpg")
    ]:  # fmt: skip
        for force in (False, True):
            es.export_run(run, to, tmp_path / name, cameras=["A1"], force=force)  # type: ignore[arg-type]
        (tmp_path / name / mine).parent.mkdir(exist_ok=True)
        (tmp_path / name / mine).write_text("mine")
        with pytest.raises(es.ExportError, match=f"no export wrote: {mine}"):
            es.export_run(run, to, tmp_path / name, force=True)  # type: ignore[arg-type]
        assert (tmp_path / name / mine).read_text() == "mine"
    (shared,) = (tmp_path / "a.zarr" / "0" / "c").rglob("0/0/0/0")
    assert shared.samefile(run / segment)
    es.export_run(run, "contact-sheet", shared, force=True)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as POSIX has them")
def test_what_is_stopped_leaves_nothing_and_what_is_killed_no_name(cli: Cli, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [Tape("A1").steady(6000, size=(16, 16))])
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)):
        process = cli.start("export", run, "--to", "jpeg", "-o", "files", "--json")
        process.wait_for('"exporting"')
        process.send(number)
        result = process.finish()
        assert result.code == code, result
        assert result.objects[-1]["state"] == "exporting"
        left = [name for name in names(tmp_path) if name != "run"]
        assert len(left) == (number == signal.SIGKILL)
    assert left[0].startswith(".files.")
    told = es.export_run(run, "jpeg", tmp_path / "files", end=1.0)
    assert any(left[0] in note and "killed" in note for note in told.notes)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes need POSIX")
def test_a_full_disk_is_told_and_leaves_nothing(run: Path, tmp_path: Path) -> None:
    """A limit of the file size, which comes in the middle of a file as a full disk does."""
    script = (
        "import resource, sys, espressoscope as es\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "for to, out in zip(sys.argv[2::2], sys.argv[3::2]):\n"
        "    try:\n"
        "        es.export_run(sys.argv[1], to, out, begin=0.001)\n"
        "    except es.ExportError as error:\n"
        "        print(to, 'make room' in str(error), error.path == out)\n"
    )
    wanted = [
        word for to in ("mkv", "ome-zarr", "contact-sheet") for word in (to, str(tmp_path / FORMATS[to]))
    ]
    done = subprocess.run(
        [sys.executable, "-c", script, str(run), *wanted],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{to} True True" for to in ("mkv", "ome-zarr", "contact-sheet")], (
        done
    )
    assert done.stderr == ""
    assert names(tmp_path) == []


def test_what_does_not_fit_is_refused_at_once(run: Path, tmp_path: Path) -> None:
    from espressoscope.export.staging import check_free

    with pytest.raises(es.ExportError, match=r"needs .* MB, and the disk has"):
        check_free(tmp_path / "new" / "out", 1 << 60)
    with pytest.raises(ValueError, match="no format 'avi'"):
        es.export_run(run, "avi", tmp_path / "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="count"):
        es.export_run(run, "contact-sheet", tmp_path / "x", count=0)
    (tmp_path / "file").write_text("mine")
    for to, name in FORMATS.items():
        with pytest.raises(es.ExportError):
            es.export_run(run, to, tmp_path / "file" / name)  # type: ignore[arg-type]
        (tmp_path / name).write_text("mine")
        with pytest.raises(es.ExportError, match="exists already"):
            es.export_run(run, to, tmp_path / name)  # type: ignore[arg-type]
        assert (tmp_path / name).read_text() == "mine"
    assert len(names(tmp_path)) == 5
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with pytest.raises(es.ExportError, match="is no export"):
        es.export_run(run, "jpeg", mine, force=True)
    with pytest.raises(es.ExportError, match="nothing to export"):
        es.export_run(run, "jpeg", tmp_path / "x", begin=datetime(2031, 1, 1, tzinfo=UTC))
    assert names(mine) == ["thesis.txt"]


def test_an_error_of_the_one_who_is_told_leaves_nothing(run: Path, tmp_path: Path) -> None:
    def fail(told: es.ExportProgress) -> None:
        raise RuntimeError("of yours")

    for to, name in FORMATS.items():
        if to == "contact-sheet":
            continue  # told when the file has its name
        with pytest.raises(RuntimeError, match="of yours"):
            es.export_run(run, to, tmp_path / name, begin=0.001, on_progress=fail)  # type: ignore[arg-type]
    assert names(tmp_path) == []


def test_runs_under_way_killed_and_damaged(tmp_path: Path) -> None:
    tape = plain(count=60)
    writer = RunWriter(tmp_path / "run", SOFTWARE)
    try:
        track = writer.add("A1")
        writer.add("empty")
        writer.start()
        for frame in tape.frames[:40]:
            track.put(frame)
        wait_until(lambda: track.frames_written == 40, 20)
        # Under way, and as a killed program leaves it: no end, no index.
        shutil.copytree(tmp_path / "run", tmp_path / "killed")
        for name in ("run", "killed"):
            for to, out in FORMATS.items():
                done = es.export_run(tmp_path / name, to, tmp_path / f"{name}-{out}")  # type: ignore[arg-type]
                assert done.cameras[0].total == (24 if to == "contact-sheet" else 40)
                assert any("empty: no frames" in note for note in done.notes)
        assert [path.read_bytes() for path in sorted((tmp_path / "killed-files" / "A1").glob("*.jpg"))] == [
            frame.jpeg for frame in tape.frames[:40]
        ]
        about = json.loads((tmp_path / "killed-a.zarr" / "zarr.json").read_text())
        assert about["attributes"]["espressoscope"]["linked"] is False
        times = np.frombuffer((tmp_path / "run-a.zarr" / "t" / "c" / "0").read_bytes(), "<i8")
        assert times.tolist() == [frame.received_ns for frame in tape.frames[:40]]
    finally:
        writer.close()
    segment = tmp_path / "killed" / "A1" / "00000.ome.tif"
    cut = segment.stat().st_size // 2
    with segment.open("r+b") as file:
        file.truncate(cut)
    (segment.parent / "00001.ome.tif").write_bytes(b"rubbish" * 1000)
    done = es.export_run(tmp_path / "killed", "jpeg", tmp_path / "half")
    assert 10 < done.cameras[0].frames < 40
    assert any("cannot be read: 00001.ome.tif" in note for note in done.notes)
    with pytest.raises(es.ExportError, match="nothing to export"):
        es.export_run(tmp_path / "run", "jpeg", tmp_path / "none", cameras=["empty"])
    broken = Tape("A1")
    broken.add(0, data=b"\xff\xd8\xff", status="truncated")
    nothing = write_run(tmp_path / "broken", [broken])
    with pytest.raises(es.ExportError, match="no frame is a whole picture"):
        es.export_run(nothing, "mkv", tmp_path / "none")
    assert es.export_run(nothing, "jpeg", tmp_path / "one").cameras[0].frames == 1
    assert not (tmp_path / "none").exists()


def test_it_is_told_what_must_be_installed(run: Path, tmp_path: Path) -> None:
    script = (
        "import sys; sys.modules['av'] = sys.modules['zarr'] = sys.modules['dask'] = None\n"
        "import espressoscope as es\n"
        "es.export_run(sys.argv[1], 'ome-zarr', sys.argv[2] + '/a.zarr')\n"
        "try:\n    es.export_run(sys.argv[1], 'mkv', sys.argv[2] + '/films')\n"
        "except es.ExportError as error:\n    print(error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(run), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout == 'pip install "espressoscope[export]"\n'
    assert names(tmp_path) == ["a.zarr"]
