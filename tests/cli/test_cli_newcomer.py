"""What people type in their first hour, and what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cli_support import Cli


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("stauts 192.168.4.1", 2, "No such command 'stauts'. Did you mean status? espressoscope --help"),
        ("fleet lst", 2, "No such command 'lst'. Did you mean list? espressoscope fleet --help"),
        ("xyzzy", 2, "No such command 'xyzzy'. espressoscope --help"),
        ("status 192.168.4.256", 1, "is no address. An address has four numbers from 0 to 255"),
        ("status 192.168.4,1", 1, "neither a camera of the fleet file nor an address"),
        ("status 127.0.0.1:1/", 1, "nothing listens on port 1. Is this a camera"),
        ("set 127.0.0.1:1 framesize VGA", 2, "Write KEY=VALUE"),
        ("set framesize=VGA quality=12", 2, "no camera is named. Write espressoscope set CAMERA KEY=VALUE"),
        ("export here --to avi -o there", 2, "'avi' is not one of 'mkv'"),
        ("info nowhere", 1, "there is no such folder. Give the folder that was recorded to"),
        ("timelapse 127.0.0.1:1 --every 10 -o x", 2, "write it like 30s"),
        ("timelapse 127.0.0.1:1 --every 1d --count 999999999 -o x", 2, "more than 500 years"),
    ],
)
def test_a_slip_is_told_with_what_to_try(cli: Cli, words: str, code: int, says: str) -> None:
    said = " ".join(cli.fails(code, *words.split()).split())
    assert says in said
    assert "Value error" not in said
    assert "?." not in said
