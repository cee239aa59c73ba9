"""File names from camera names, and pictures that are whole or not there."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from hypothesis import given

from espressoscope.cli import files
from espressoscope.cli.files import FileTrouble, keep_picture, put_picture
from espressoscope.cli.naming import file_stamp, file_stem, unique_labels
from espressoscope.cli.output import clean, iso_utc

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("Matchboxscope", "Matchboxscope"),
        ("ESP32 camera server", "ESP32-camera-server"),
        ("192.168.1.20:8080", "192.168.1.20-8080"),
        ("../../etc/passwd", "etc-passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("/", "camera"),
        ("", "camera"),
        ("...", "camera"),
        ("-rf", "rf"),
        ("~/x", "x"),
        (".bashrc", "bashrc"),
        ("CON", "camera-CON"),
        ("nul.txt", "camera-nul.txt"),
        ("COM1", "camera-COM1"),
        ("com¹", "camera-com¹"),
        ("COM10", "COM10"),
        ("trailing. . .", "trailing"),
        ('a<b>c:d|e?f*g"h', "a-b-c-d-e-f-g-h"),
        ("\x1b[2Jred\x07", "[2Jred"),
        ("Mikroskop Süd", "Mikroskop-Süd"),
        (unicodedata.normalize("NFD", "Süd"), "Süd"),
        ("顕微鏡", "顕微鏡"),
        ("\u202egpj.exe", "gpj.exe"),
        ("x" * 500, "x" * 48),
        ("鏡" * 500, "鏡" * 40),
    ],
)
def test_file_stem(name: str, stem: str) -> None:
    assert file_stem(name) == stem


@given(st.text(st.characters(), max_size=200))
def test_any_name_makes_a_file_name_of_windows(name: str) -> None:
    stem = file_stem(name)
    assert 1 <= len(stem) <= 60
    assert len(stem.encode()) <= 130
    assert not re.search(r'[\x00-\x20<>:"/\\|?*\x7f-\x9f]', stem)
    assert stem[0] not in ".-~ "
    assert stem[-1] not in ". "
    assert not re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", stem)
    assert file_stem(stem) == stem


def test_unique_labels() -> None:
    cameras = [
        ("scope", "AA:BB:CC:DD:EE:01", "10.0.0.1"),
        ("Scope", "AA:BB:CC:DD:EE:02", "10.0.0.2"),
        ("scope", None, "10.0.0.3:8080"),
        ("left", "AA:BB:CC:DD:EE:04", "10.0.0.4"),
        ("", None, "10.0.0.5"),
    ]
    assert unique_labels(cameras) == [
        "scope-DDEE01",
        "Scope-DDEE02",
        "scope-10.0.0.3:8080",
        "left",
        "10.0.0.5",
    ]


def test_times_are_utc_to_the_microsecond() -> None:
    moment = 1_700_000_000_123_456_789
    assert iso_utc(moment) == "2023-11-14T22:13:20.123456Z"
    assert file_stamp(moment) == "20231114T221320.123456Z"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [red]text[/red]", "plain [red]text[/red]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x9b31mx", "31mx"),
        ("a\x00b\rc\nd\x08e\x7ff", "abcdef"),
        ("\u202eabc\u2066", "abc"),
        ("\udcff", ""),
        ("x" * 3000, "x" * 1997 + "..."),
    ],
)
def test_clean(text: str, shown: str) -> None:
    assert clean(text) == shown


@given(st.text(st.characters()))
def test_nothing_a_terminal_obeys_stays(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", clean(text))


# --- writing


def test_keep_picture_counts_on(tmp_path: Path) -> None:
    paths = [keep_picture(tmp_path, "a", bytes([n])) for n in range(3)]
    assert [path.name for path in paths] == ["a.jpg", "a-2.jpg", "a-3.jpg"]
    assert [path.read_bytes() for path in paths] == [b"\0", b"\1", b"\2"]


def test_keep_picture_where_there_are_no_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "no links on FAT")

    monkeypatch.setattr(os, "link", no_links)
    paths = [keep_picture(tmp_path, "a", b"x") for _ in range(2)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


def test_put_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    assert put_picture(path, b"one", replace=False)
    assert not put_picture(path, b"two", replace=False)
    assert path.read_bytes() == b"one"
    assert put_picture(path, b"two", replace=True)
    assert path.read_bytes() == b"two"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(tmp_path / "elsewhere")
    assert keep_picture(tmp_path, "a", b"x").name == "a-2.jpg"
    assert not put_picture(tmp_path / "a.jpg", b"x", replace=False)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()], ids=["full", "Ctrl-C"]
)
def test_nothing_is_left_of_a_picture_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real = os.write
    calls = iter([None, error])

    def fails_at_the_second(descriptor: int, data: bytes) -> int:
        if (failure := next(calls)) is not None:
            raise failure
        return real(descriptor, data[:10])

    monkeypatch.setattr(files.os, "write", fails_at_the_second)
    with pytest.raises(FileTrouble if isinstance(error, OSError) else KeyboardInterrupt):
        keep_picture(tmp_path, "a", bytes(100))
    assert list(tmp_path.iterdir()) == []
