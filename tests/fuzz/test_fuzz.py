"""The short form of every campaign, the harness itself, and each input that has ever found something."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from espressoscope.errors import RecordingError, RemoteProtocolError
from espressoscope.recording.layout import PROLOGUE_AT
from espressoscope.timelapse.folder import read_plan
from espressoscope.timelapse.ledger import read_line
from espressoscope.wire.parser import ResponseParser
from fuzz.campaign import HEAD, Finding, attempt, campaign, smaller
from fuzz.segment import righted
from fuzz.targets import TARGETS
from support import REPO

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable
    from pathlib import Path

COUNTS = {"stream": 120, "status": 400, "picture": 120, "segment": 50, "facts": 60, "fleet": 150, "lapse": 40}


@pytest.mark.parametrize("name", TARGETS)
def test_a_short_campaign_finds_nothing(name: str) -> None:
    figures = campaign(TARGETS[name], count=COUNTS[name], seed=7)
    assert not figures.findings, next(iter(figures.findings.values())).trace
    assert figures.inputs == COUNTS[name]
    # Inputs that do nothing new would be a campaign that tests nothing.
    assert figures.paths > figures.seeds // 3
    assert figures.kept


class Careless:
    """A target with a mistake that takes two bytes to find."""

    name, says, most = "careless", "", 100
    tokens = (b"ab",)

    def seeds(self) -> list[bytes]:
        return [b"xxxxxxxxxx"]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        return data

    def check(self, data: bytes) -> Hashable:
        if b"ab" in data:
            raise ZeroDivisionError
        return b"a" in data


def test_a_campaign_finds_a_mistake_and_makes_its_input_small() -> None:
    figures = campaign(Careless(), count=400)
    (finding,) = figures.findings.values()
    assert finding.data == b"ab"
    assert "ZeroDivisionError" in finding.key
    assert "| 1 |" in figures.line()
    assert figures.line().count("|") == HEAD.partition("\n")[0].count("|")


@pytest.mark.skipif(sys.platform == "win32", reason="no such clock on Windows")
def test_what_takes_no_end_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Careless):
        def check(self, data: bytes) -> Hashable:
            while data:
                pass
            return None

    monkeypatch.setattr("fuzz.campaign.LONGEST_S", 0.2)
    finding = attempt(Endless(), b"x")[1]
    assert finding is not None
    assert "TooSlow" in finding.key
    assert smaller(Endless(), Finding(finding.key, b"xx", ""), 4).data == b"x"


def test_the_command_prints_a_table_and_keeps_its_corpus(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "status", "--seconds", "0.3", "--engine", "own"]
    done = subprocess.run(
        [*command, "--corpus", str(tmp_path)], cwd=REPO, env=dict(os.environ), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(HEAD)
    assert "| status | own |" in done.stdout
    assert list((tmp_path / "status").iterdir())


# ---- what has been found ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"start_ns": 10**28},
        {"start_ns": float("inf")},
        {"start_ns": -1},
        {"schedule": {"every_ns": 6 * 10**27}},
        {"schedule": {"window_ns": -1}},
        {"schedule": {"points": 10**40}},
        {"schedule": {"burst": 10**400}},
    ],
    ids=str,
)
def test_a_schedule_of_impossible_numbers_is_refused_in_words(
    tmp_path: Path, change: dict[str, object]
) -> None:
    content = json.loads(TARGETS["lapse"].seeds()[0].partition(b"\n=====\n")[0])
    for key, value in change.items():
        content[key] = {**content[key], **value} if isinstance(value, dict) else value
    (tmp_path / "schedule.json").write_text(json.dumps(content))
    with pytest.raises(RecordingError, match=r"schedule\.json"):
        read_plan(tmp_path)


def test_a_segment_that_says_it_is_the_last_of_millions_costs_nothing() -> None:
    data = bytearray(TARGETS["segment"].seeds()[1])
    data[PROLOGUE_AT + 16 : PROLOGUE_AT + 20] = b"\xff\xff\xff\xff"
    _, finding = attempt(TARGETS["segment"], righted(bytes(data), tables=False))
    assert finding is None, finding.trace


def test_lines_without_a_picture_come_to_an_end() -> None:
    """Each of them costs as much as a picture, so the stream of such a camera is given up."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=bb\r\n\r\n"
    picture = b"--bb\r\nContent-Length: 200\r\n\r\n\xff\xd8" + bytes(196) + b"\xff\xd9\r\n"
    tiny = (b"Content-Length: 0\r\n\r\n", b"Content-Length: 1\r\n\r\nx\r\n", b"X: y\r\n\r\n\r\n")
    for unit in (b"\r\n", b"--bb\r\n", *(b"--bb\r\n" + part for part in tiny)):
        parser = ResponseParser()
        lines = unit.count(b"\n")
        # Nothing that a server with few pictures does.
        parser.feed(head + (unit * (4000 // lines) + picture) * 4)
        with pytest.raises(RemoteProtocolError, match="no picture"):
            parser.feed(unit * 10_100)


@pytest.mark.parametrize("folder", ["A" * 300, "a\0b", "\ud800"], ids=ascii)
def test_a_camera_of_a_name_that_no_folder_has_hides_no_other(folder: str) -> None:
    cameras = [{"name": "x", "folder": folder}, {"name": "A1", "folder": "A1"}]
    data = json.dumps({"cameras": cameras}).encode() + b"\n=====\n"
    _, finding = attempt(TARGETS["facts"], data)
    assert finding is None, finding.trace


@pytest.mark.parametrize("due_ns", [-1, 8 * 10**25, 10**28])
@pytest.mark.parametrize("moment", ["2027-01-15T08:02:00", "0001-01-01T00:00:00", ""])
def test_a_point_at_an_impossible_time_is_a_damaged_line(due_ns: int, moment: str) -> None:
    line = f"2,,taken,{moment},,{moment},1,0,6,6,1,3,0,0,{due_ns},\n"
    assert read_line(line) is None
    _, finding = attempt(TARGETS["lapse"], b"\n=====\n" + line.encode())
    assert finding is None, finding.trace
