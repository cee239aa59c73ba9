"""The fleet file: what a person, an editor or somebody else's program may have made of it."""

from __future__ import annotations

import os
import tomllib
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espressoscope.errors import FleetFileError
from espressoscope.lab.draft import Draft
from espressoscope.lab.names import check_name
from espressoscope.model import CameraInfo
from fuzz.work import counted_calls

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable

_LAB = b"""# our cameras
[cameras.A1]  # by the window
mac = "24:0A:C4:00:00:01"
url = "http://me:se%20cret@192.168.4.17/"
firmware = "camerawebserver"
profile = "dark"
plate = "P1"
well = "A1"
colour = "blue"

[cameras."B 2"]
url = "192.168.4.18"

[plates.P1]
wells = 24

[profiles.dark]
quality = 10
aec = false
note = "x"

[[other]]
a = [1, 2.5, 1979-05-27T07:32:00Z]
"""
_INLINE = b"""\
cameras = { A1 = { mac = "240AC4000001", keep_profile = true }, B = { url = "cam.local:8080" } }
plates.P.wells = 6
"""


class Fleet:
    """See the module."""

    name = "fleet"
    says = "cameras, or FleetFileError with a line; a change keeps everything else, and is read back"
    most = 4000
    tokens = (
        b"[cameras.A2]\n",
        b"[plates.P2]\nwells = 6\n",
        b"[profiles.x]\n",
        b'mac = "24:0A:C4:00:00:02"\n',
        b'url = "http://x/"\n',
        b"cameras",
        b'url = "http://u:p@[::1]:81/s?x=1"\n',
        b'"""',
        b"'''",
        b"\r\n",
        b"\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b" = ",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b'"../../x"',
        b'"con"',
        b'"\\u001b[2J"',
        b"a.b.c",
        b"# x\n",
        b"inf",
        b"nan",
        b"99999999999999999999",
        b"\\uD800",
        b"-.",
        b"1979-05-27",
    )

    def seeds(self) -> list[bytes]:
        """Files as people and programs write them."""
        return [
            _LAB,
            _INLINE,
            b"",
            b"\xef\xbb\xbf" + _LAB.replace(b"\n", b"\r\n"),
            _LAB[:200],
            b"[cameras]\nA1.url = '1.2.3.4'\n",
        ]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Leave it as it is."""
        return data

    def check(self, data: bytes) -> Hashable:
        """Read it, change it, read what comes out."""
        path = Path("lab.toml")
        try:
            with counted_calls() as calls:
                draft = Draft(path, data)
        except FleetFileError as error:
            return _refused(error, data)
        assert calls.count <= 120 * len(data) + 20_000, "calls"
        assert draft.encode() == data, "changed without a change"
        members = draft.entries.members
        for name, member in members.items():
            assert check_name(name) == name
            assert os.path.basename(name) == name
            assert name.isprintable()
            assert member.url is None or (member.url.isprintable() and "@" not in member.url.split("/")[2])
            assert member.firmware.isprintable()
        repr(members)
        return len(members), len(draft.entries.plates), self._change(path, draft, data)

    def _change(self, path: Path, draft: Draft, data: bytes) -> Hashable:
        before = tomllib.loads(draft._content.text)
        edits = zlib.crc32(data)
        done: list[str] = []
        for number, word in enumerate(("add", "rename", "assign", "profile", "forget")):
            names = list(draft.entries.members)
            if not edits >> number & 1 or (not names and word in ("rename", "assign", "forget")):
                continue
            try:
                _edit(draft, word, names, edits)
            except (ValueError, KeyError) as error:
                done.append(type(error).__name__)
                continue
            done.append(word)
        try:
            out = draft.encode()
        except FleetFileError:
            return (*done, "by hand")
        again = Draft(path, out)
        assert again.entries.plates == draft.entries.plates
        assert list(again.entries.members.items()) == list(draft.entries.members.items()), (
            "read otherwise than written"
        )
        assert repr(again.entries.profiles) == repr(draft.entries.profiles)
        after = tomllib.loads(again._content.text)
        assert _rest(before) == _rest(after), "what is not ours was changed"
        return tuple(done)


def _refused(error: FleetFileError, data: bytes) -> str:
    assert error.line is None or 1 <= error.line <= data.count(b"\n") + data.count(b"\r") + 1
    assert str(error).isprintable(), "a message that changes the terminal"
    return error.reason[:20]


def _edit(draft: Draft, word: str, names: list[str], number: int) -> None:
    if word == "add":
        found = CameraInfo("new", "http://10.1.2.3/", None, "02:00:00:00:00:77", "tasmota", "scan")
        draft.add(found, None)
    elif word == "rename":
        draft.rename(names[0], "Zoë 9")
    elif word == "assign":
        draft.assign(names[-1], "Q", "A1", 6)
    elif word == "profile":
        draft.put_profile("p new", {"quality": 4, "aec": True})
    else:
        draft.forget(names[number % len(names)])


def _rest(data: dict[str, Any]) -> str:
    return repr({key: value for key, value in data.items() if key not in ("cameras", "plates", "profiles")})
