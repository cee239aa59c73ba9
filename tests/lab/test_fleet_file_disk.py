"""The fleet file on a disk: other writers, editors of Windows, links, full and read-only disks."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
import tomllib
from typing import TYPE_CHECKING

import pytest

from espressoscope.errors import FleetFileError
from espressoscope.lab import on_disk
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.model import CameraInfo
from support import REPO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LAB = "# ours\n[cameras.A1]\nurl = 'http://10.0.0.1' # é\n"


def camera(number: int) -> CameraInfo:
    mac = f"02:E5:00:00:{number // 256:02X}:{number % 256:02X}"
    return CameraInfo("Matchboxscope", f"http://10.0.1.{number}", None, mac, "matchboxscope", "scan")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "lab.toml"
    file.write_text(LAB, encoding="utf-8")
    return file


# ---- two writers


def test_what_another_program_saved_meanwhile_stays(path: Path) -> None:
    ours, theirs = FleetFile.load(path), FleetFile.load(path)
    ours.add(camera(1), "B1")
    theirs.add(camera(2), "B2")
    theirs.rename("A1", "C1")
    theirs.save()
    path.write_text(path.read_text(encoding="utf-8") + "# by hand\n", encoding="utf-8")
    assert ours.save()
    assert list(ours.members) == ["C1", "B2", "B1"]
    assert "# by hand" in path.read_text(encoding="utf-8")


def test_the_same_camera_added_by_two_is_in_it_once(path: Path) -> None:
    ours, theirs = FleetFile.load(path), FleetFile.load(path)
    ours.add(camera(1), "B1")
    theirs.add(camera(1))
    theirs.save()
    with pytest.raises(FleetFileError, match="changed by somebody else meanwhile: this camera is in"):
        ours.save()
    ours, theirs = FleetFile.load(path), FleetFile.load(path)
    for lab in (ours, theirs):
        lab.add(camera(2))
        lab.save()
    assert len(ours.members) == 3


def test_a_change_that_no_longer_fits_is_told_and_nothing_is_written(path: Path) -> None:
    ours, theirs = FleetFile.load(path), FleetFile.load(path)
    ours.rename("A1", "B1")
    theirs.forget("A1")
    theirs.save()
    before = path.read_bytes()
    with pytest.raises(
        FleetFileError, match=r"changed by somebody else meanwhile: .* no camera 'A1'"
    ) as caught:
        ours.save()
    assert caught.value.hint == "Load it anew and try again"
    assert path.read_bytes() == before


def test_a_file_that_was_taken_away_is_not_made_anew(path: Path) -> None:
    lab = FleetFile.load(path)
    lab.add(camera(1))
    path.rename(path.with_name("old.toml"))
    with pytest.raises(FleetFileError, match="removed or renamed meanwhile"):
        lab.save()
    assert not path.exists()


WRITER = """
import sys
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.model import CameraInfo
path, begin = sys.argv[1], int(sys.argv[2])
for number in range(begin, begin + 15):
    lab = FleetFile.load(path)
    mac = f"02:E5:00:00:00:{number:02X}"
    lab.add(CameraInfo("x", f"http://10.0.1.{number}", None, mac, "unknown", "scan"), f"N{number}")
    lab.save()
"""


def test_processes_that_save_at_once_lose_nothing(path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(begin)],
            env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        )
        for begin in (0, 50, 100)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    names = {f"N{number}" for begin in (0, 50, 100) for number in range(begin, begin + 15)}
    assert set(FleetFile.load(path).members) == {"A1", *names}
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_save_at_once_lose_nothing(path: Path) -> None:
    def work(begin: int) -> None:
        for number in range(begin, begin + 10):
            lab = FleetFile.load(path)
            lab.add(camera(number), f"N{number}")
            lab.save()

    threads = [threading.Thread(target=work, args=(begin,)) for begin in (0, 20, 40, 60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(FleetFile.load(path).members) == 41


def test_a_writer_that_never_ends_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_disk, "LOCK_S", 0.1)
    lab = FleetFile.load(path)
    lab.add(camera(1))
    with on_disk.one_writer(path), pytest.raises(FleetFileError, match="another program is writing it"):
        lab.save()
    assert lab.save(), "nothing of the change is lost"


# ---- manners of editors


@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_and_line_ends_of_windows_editors_stay(path: Path, bom: bytes, newline: str) -> None:
    text = LAB + 'note = """two\nlines"""\n'
    path.write_bytes(bom + text.replace("\n", newline).encode())
    lab = FleetFile.load(path)
    lab.add(camera(1), "Küche")
    lab.save()
    data = path.read_bytes()
    assert data.startswith(bom + LAB.replace("\n", newline).encode())
    assert data.count(b"\xef\xbb\xbf") == bool(bom)
    assert data.count(b"\n") == data.count(newline.encode()) > 8
    assert FleetFile.load(path).find("KÜCHE")
    lab.forget("Küche")
    lab.save()
    assert path.read_bytes() == bom + text.replace("\n", newline).encode()


def test_mixed_line_ends_stay_mixed(path: Path) -> None:
    text = LAB.replace("# ours\n", "# ours\r\n")
    path.write_bytes(text.encode())
    lab = FleetFile.load(path)
    lab.add(camera(1), "B1")
    lab.save()
    assert path.read_bytes().startswith(text.encode())
    lab.forget("B1")
    lab.save()
    assert path.read_bytes() == text.encode()


def test_a_last_line_without_an_end(path: Path) -> None:
    path.write_text(LAB.rstrip("\n"), encoding="utf-8")
    lab = FleetFile.load(path)
    lab.assign("A1", "p", "A1", wells=6)
    lab.save()
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    assert data["cameras"]["A1"] == {"url": "http://10.0.0.1", "plate": "p", "well": "A1"}


# ---- links, permissions, other things than files


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_are_followed(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    link = folder / "lab.toml"
    link.symlink_to("middle.toml")
    (folder / "middle.toml").symlink_to(path)
    lab = FleetFile.load(link)
    lab.add(camera(1))
    lab.save()
    assert link.is_symlink()
    assert len(FleetFile.load(path).members) == 2
    path.unlink()
    dangling = FleetFile.load(link)
    dangling.add(camera(1))
    dangling.save()
    assert link.is_symlink()
    assert path.is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions there")
def test_permissions_stay(path: Path, tmp_path: Path) -> None:
    path.chmod(0o640)
    lab = FleetFile.load(path)
    lab.add(camera(1))
    lab.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    new = FleetFile.load(tmp_path / "new.toml")
    new.add(camera(1))
    before = os.umask(0o027)
    try:
        new.save()
    finally:
        os.umask(before)
    assert stat.S_IMODE(new.path.stat().st_mode) == 0o640


def test_what_is_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FleetFileError, match="cannot be read"):
        FleetFile.load(tmp_path)
    with pytest.raises(FleetFileError, match="cannot be read"):
        FleetFile.load(tmp_path / ("x" * 300))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(FleetFileError, match="no plain file"):
            FleetFile.load(tmp_path / "pipe")
    (tmp_path / "file").write_text("", encoding="utf-8")
    lab = FleetFile.load(tmp_path / "new.toml")
    lab.path = tmp_path / "file" / "lab.toml"
    lab.add(camera(1))
    with pytest.raises(FleetFileError, match="cannot be written"):
        lab.save()


def test_a_crash_in_the_middle_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise OSError(5, "Input/output error")

    lab = FleetFile.load(path)
    lab.add(camera(1))
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", crash)
        with pytest.raises(FleetFileError, match="Input/output error") as caught:
            lab.save()
    assert "as it was" in str(caught.value)
    assert path.read_text(encoding="utf-8") == LAB
    assert list(path.parent.iterdir()) == [path]
    assert lab.save()


# ---- disks that are full, or cannot be written

ADD = """
import sys
from espressoscope.errors import FleetFileError
from espressoscope.lab.fleet_file import FleetFile
from espressoscope.model import CameraInfo
lab = FleetFile.load(sys.argv[1])
lab.add(CameraInfo("x" * 40, "http://10.0.1.1", None, None, "unknown", "scan"))
try:
    lab.save()
except FleetFileError as error:
    print("told:", error)
"""


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """Give a folder on which each run of `in_mount` puts a small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("mount namespaces need Linux and the program unshare (Debian: util-linux)")
    done = in_mount(folder, ["true"], "true")
    if done.returncode != 0:
        pytest.skip(f"no right to mount a disk in a namespace ({done.stderr.strip()})")
    return folder


def in_mount(folder: Path, command: Sequence[str], setup: str) -> subprocess.CompletedProcess[str]:
    script = f'set -e; mount -t tmpfs -o size=64k none "$1"; cd "$1"; {setup}; shift; "$@"'
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return subprocess.run(
        ["unshare", *rights, "--mount", "sh", "-c", script, "sh", str(folder), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPO / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.parametrize(
    ("setup", "says"),
    [
        ("(cat /dev/zero > filler || true) 2> /dev/null", "No space left"),
        ('mount -o remount,ro none "$PWD"', "Read-only file system"),
    ],
)
def test_disks_that_cannot_be_written_leave_the_file_as_it_was(mounted: Path, setup: str, says: str) -> None:
    text = "# our cameras\n[cameras.A1]\nurl = 'x'\n" + "# much is written here\n" * 400
    (mounted.parent / "text").write_text(text, encoding="utf-8")
    done = in_mount(
        mounted,
        ["sh", "-c", f'"{sys.executable}" -c "$1" lab.toml; cmp lab.toml ../text && ls -A', "sh", ADD],
        f"cp ../text lab.toml; {setup}",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("told: ")
    assert says in done.stdout
    assert "It is as it was" in done.stdout
    assert set(done.stdout.split("\n")[1:]) - {"filler", ""} == {"lab.toml"}
