"""Files read whole, and what is none."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from espressoscope.disk import expanded, open_plain, read_whole


def test_a_path_is_from_the_root_on_and_in_somebodys_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert expanded("leaf") == tmp_path / "leaf"
    assert expanded("~") == Path.home()
    with pytest.raises(OSError, match="~nosuchuser stands for"):
        expanded("~nosuchuser/leaf")


def test_a_file_is_read_whole_up_to_its_ceiling(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"\r\n\x1a" * 1024)
    assert read_whole(path, 3072) == b"\r\n\x1a" * 1024
    with pytest.raises(OSError, match="more than 2 KiB") as told:
        read_whole(path, 2 * 1024)
    assert told.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError):
        read_whole(tmp_path / "none", 3072)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes among its files")
def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    open_before = os.listdir("/dev/fd")
    for path in (tmp_path / "pipe", tmp_path):
        for attempt in (lambda path=path: read_whole(path, 10), lambda path=path: open_plain(path)):
            with pytest.raises(OSError, match="it is no plain file") as told:
                attempt()
            assert told.value.errno == errno.EINVAL
    assert os.listdir("/dev/fd") == open_before
