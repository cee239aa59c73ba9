"""What a time-lapse is asked for, and what it tells: numbers, commands, functions of the user's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope.api.lapse_news import LapseNews
from espressoscope.api.lapse_request import read_request
from espressoscope.timelapse.hook import Alarm, words_of
from espressoscope.timelapse.ledger import Line
from espressoscope.timelapse.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN: dict[str, Any] = {
    "given": ["a"], "every": "1s", "count": None, "duration": None, "until": None, "burst": 1, "lamp": None,
    "settle": 0, "stagger": None, "window": None, "framesize": None, "quality": None,
}  # fmt: skip


@pytest.mark.parametrize("name", ["count", "burst", "lamp", "quality"])
def test_only_whole_numbers_are_begun_with(name: str) -> None:
    for wrong in (6 / 3, True, "2", np.float64(2)):
        with pytest.raises(ValueError, match=f"{name} is a whole number"):
            read_request(**{**GIVEN, name: wrong})
    schedule, asked = read_request(**{**GIVEN, name: np.int64(2)})
    # What is written can be read again, so the run can be gone on with.
    assert Schedule.from_dict(json.loads(json.dumps(schedule.as_dict()))) == schedule
    assert json.loads(json.dumps(asked))[name] == 2


def test_a_frame_size_is_a_name() -> None:
    with pytest.raises(ValueError, match="framesize is a name"):
        read_request(**{**GIVEN, "framesize": 5})


def test_what_cannot_be_the_room_to_leave_or_the_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keep_free must not be negative"):
        es.TimeLapse("127.0.0.1:1", every="1s", count=1, path=tmp_path, keep_free=-5)
    for begin in (lambda path: es.TimeLapse("127.0.0.1:1", every="1s", path=path), es.timelapse_status):
        with pytest.raises(es.RecordingError, match="~nosuchuser/leaf is no folder: ~nosuchuser stands for"):
            begin("~nosuchuser/leaf")
    with pytest.raises(es.RecordingError, match="name too long"):
        es.TimeLapse("127.0.0.1:1", every="1s", count=1, path=tmp_path / ("n" * 300)).prepare()


def test_a_command_given_in_words_is_checked_as_a_text_is(tmp_path: Path) -> None:
    wrongs: list[Any] = [[], ["no-such-program-here", "x"], [5], b"true", 5, [["sh"]]]
    for wrong in wrongs:
        with pytest.raises(ValueError, match=r"command|no program"):
            es.TimeLapse(["127.0.0.1"], "1h", path=tmp_path / "run", on_missed=wrong)
    assert words_of([Path("sh"), "-c", "a b; 'c'"]) == ["sh", "-c", "a b; 'c'"]  # type: ignore[list-item]
    with pytest.raises(ValueError, match="empty"):
        Alarm([], tmp_path)


def test_a_function_that_fails_keeps_nothing_from_the_other(caplog: pytest.LogCaptureFixture) -> None:
    told: list[int | str] = []

    def on_point(name: str, line: Line) -> None:
        told.append(line.point)
        raise RuntimeError("mine")

    def on_missed(name: str, lines: list[Line]) -> None:
        told.append(f"{len(lines)} missed")
        raise RuntimeError("mine too")

    calls: tuple[Callable[..., object], Callable[..., object]] = (on_point, on_missed)
    LapseNews(*calls).tell("a", [Line(0, 0, "missed"), Line(1, 0, "taken"), Line(2, 0, "missed")])
    assert told == [0, 1, 2, "2 missed"]
    assert [record.exc_info is not None for record in caplog.records] == [True, False, True]
    assert "on_point failed for 3 of 3 points of a" in caplog.text
