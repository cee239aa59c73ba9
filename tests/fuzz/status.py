"""`/status` of any firmware."""

from __future__ import annotations

import json
import math
import zlib
from typing import TYPE_CHECKING

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.status import MAX_STATUS, parse_status
from fuzz.work import counted_calls
from support import FIXTURES

if TYPE_CHECKING:
    import random
    from collections.abc import Hashable


class Status:
    """See the module."""

    name = "status"
    says = "512 plain values at most, or RemoteProtocolError; what was understood is understood again"
    most = 20_000
    tokens = (
        b'{"',
        b'":',
        b'",',
        b"}",
        b"[",
        b"]",
        b'"rotate":"90"',
        b"4294967295",
        b"1e999",
        b"NaN",
        b"-Infinity",
        b"true",
        b"null",
        b"{s}",
        b"{e}",
        b'\\"',
        b"\\ud800",
        b"\\u0000",
        b"\x1b[2J",
        b"\xef\xbb\xbf",
        b',"pwm":{"0":{"pin":4}}',
        b"-",
        b".",
        b"{{{{{{{{",
        b"[[[[[[[[",
        b'"a":',
        b'"":"",',
    )

    def seeds(self) -> list[bytes]:
        """What firmwares send, and their deviations."""
        found = [
            b"{}",
            b'{"framesize":8,"quality":10,"rotate":"90",}',
            b'{"a":"1","b":4294967295,"c":-1.5,"d":null,"e":[1,{"f":2}]}',
            b'{"cam_name":"my "best" cam","code_ver":"May 1","lamp":-1}',
            b'{s}Webcam Frame rate{m}1 FPS{e}{"a":1}',
            b'{"a":NaN,"b":1e999,"c":"x\\ud800y","stream_url":"http://1.2.3.4:81/"}',
            b'{"a":1,"b":"broken o',
            b"<html>no</html>",
        ]
        path = FIXTURES / "transcripts" / "esp-idf-httpd.json"
        if path.is_file():
            found += [
                text.encode("latin-1", "replace")
                for text in _texts(json.loads(path.read_bytes()))
                if text.lstrip().startswith("{") and len(text) < self.most
            ]
        return found

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Leave it as it is."""
        return data

    def check(self, data: bytes) -> Hashable:
        """Read it; read again what was understood."""
        try:
            with counted_calls() as calls:
                status = parse_status(data)
        except RemoteProtocolError as error:
            return error.message
        assert calls.count <= 40 * (len(data) + 50), "calls"
        assert len(status) <= 512
        for value in status.values():
            assert value is None or type(value) in (int, float, bool, str)
            assert not isinstance(value, int) or abs(value) < 1 << 63
            assert not isinstance(value, float) or math.isfinite(value)
            assert not isinstance(value, str) or len(value) <= 1024
        flat = {key: value for key, value in status.items() if "." not in key}
        text = json.dumps(flat).encode()
        if len(text) <= MAX_STATUS:
            assert parse_status(text) == flat, "understood otherwise the second time"
        return (
            len(status).bit_length(),
            tuple(sorted({type(value).__name__ for value in status.values()})),
            (zlib.crc32(repr(sorted(status)[:4]).encode()) & 15),
        )


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for child in children for text in _texts(child)]
