"""Remembered hosts: kept, bounded, never trusted, never in the way."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from espressoscope.discovery.memory import MOST_HOSTS, recall, remember, state_file
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from pathlib import Path


def camera(url: str, mac: str | None = None, name: str = "cam") -> CameraInfo:
    return CameraInfo(name, url, None, mac, "matchboxscope", "scan")


def hosts() -> list[tuple[str, int]]:
    return [(entry.host, entry.port) for entry in recall()]


def test_nothing_is_remembered_at_first(state: Path) -> None:
    assert recall() == ()
    assert not state.exists()


def test_found_hosts_are_remembered(state: Path) -> None:
    remember([camera("http://10.0.0.7", "02:00:00:00:00:07"), camera("http://10.0.0.8:8080")])
    remember([camera("http://[fd00::9]")])
    assert set(hosts()) == {("10.0.0.7", 80), ("10.0.0.8", 8080), ("fd00::9", 80)}
    assert hosts()[0] == ("fd00::9", 80), "the newest comes first"
    assert [path.name for path in state.iterdir()] == ["hosts.json"], "no temporary file stays"


def test_this_computer_is_not_remembered(state: Path) -> None:
    remember([camera("http://127.0.0.1:8080"), camera("http://[::1]:8080")])
    assert not state.exists()


def test_a_camera_that_moved_leaves_its_old_address() -> None:
    remember([camera("http://10.0.0.7", "02:00:00:00:00:07")])
    remember([camera("http://10.0.0.99", "02:00:00:00:00:07")])
    assert hosts() == [("10.0.0.99", 80)]


def test_only_so_many_are_kept() -> None:
    remember([camera(f"http://10.0.{n // 250}.{n % 250 + 1}") for n in range(MOST_HOSTS + 50)])
    remember([camera("http://10.7.7.7")])
    assert len(hosts()) == MOST_HOSTS
    assert hosts()[0] == ("10.7.7.7", 80)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"hosts": 5}',
        '{"hosts": [5, null, {}, {"host": 7, "port": 80, "seen": 1}]}',
        '{"hosts": [{"host": "evil.example", "port": 80, "seen": 1}]}',
        '{"hosts": [{"host": "10.0.0.1", "port": 0, "seen": 1}]}',
        '{"hosts": [{"host": "fe80::1%eth0", "port": 80, "seen": 1}]}',
        '{"hosts": [{"host": "127.0.0.1", "port": 80, "seen": 1}]}',
        '{"hosts": [{"host": "224.0.0.1", "port": 80, "seen": "x"}]}',
        "[" * 100_000,
        " " * 2_000_000,
    ],
)
def test_a_spoilt_file_is_as_none_and_is_replaced(state: Path, text: str) -> None:
    state.mkdir()
    state_file().write_text(text, encoding="utf-8")
    assert recall() == ()
    remember([camera("http://10.0.0.7")])
    assert hosts() == [("10.0.0.7", 80)]


def test_names_in_the_file_are_cleaned(state: Path) -> None:
    state.mkdir()
    entry = {"host": "10.0.0.7", "port": 80, "seen": 1, "name": "\x1b[31m" + "x" * 900, "mac": None}
    state_file().write_text(json.dumps({"hosts": [entry, entry]}), encoding="utf-8")
    (found,) = recall()
    assert found.name.isprintable()
    assert len(found.name) <= 64


def test_a_folder_that_cannot_be_written_is_no_error(state: Path) -> None:
    state.write_text("a file where the folder should be", encoding="utf-8")
    remember([camera("http://10.0.0.7")])
    assert recall() == ()


def test_the_usual_place_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ESPRESSOSCOPE_STATE")
    assert "espressoscope" in str(state_file())
