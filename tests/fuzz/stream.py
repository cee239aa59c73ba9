"""Answers and streams, as `wire` reads them: any bytes, on any split, with and without the short cut."""

from __future__ import annotations

import random
import zlib
from typing import TYPE_CHECKING, Any

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.limits import Limits
from espressoscope.wire.parser import ResponseParser
from fuzz.work import counted_calls
from support import FIXTURES
from wire.wire_streams import LAYOUTS, Watched, chunk, fake_jpeg, head, kinds, plain, stream

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

TINY = Limits(
    max_head=400, max_headers=8, max_line=120, max_part_head=200, max_part=3000, max_body=3000, buffer=256
)
ROOMY = Limits(buffer=4096, max_part=1 << 20, max_body=1 << 20)
MOST_CALLS, MOST_MOVED, MOST_SEARCHED = 150, 3, 80


class _Searched(bytearray):
    """A buffer that counts how many bytes it is searched for."""

    searched = 0

    def find(self, sub: Any, start: Any = 0, stop: Any = None) -> int:
        found = super().find(sub, start, len(self) if stop is None else stop)
        self.searched += max(
            0, (found + len(sub) if found >= 0 else len(self) if stop is None else stop) - start
        )
        return found


def _parse(data: bytes, cuts: Iterable[int], limits: Limits, short_cut: bool) -> list[tuple[Any, ...]]:
    watched = Watched(limits, short_cut=short_cut)
    found: list[tuple[Any, ...]] = []
    begin = 0
    try:
        for cut in [*cuts, len(data)]:
            found += watched.push(data[begin:cut])
            begin = cut
        found += map(plain, watched.parser.end())
        assert watched.parser.end() == [], "events after the end"
    except RemoteProtocolError as error:
        found.append(("error", error.message))
    return found


class Stream:
    """See the module."""

    name = "stream"
    says = "events or RemoteProtocolError; the same on every split and way; work so much a byte"
    most = 4000
    tokens = (
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"Content-Type: multipart/x-mixed-replace;boundary=bb\r\n",
        b"Content-Type: application/octet-stream\r\n",
        b"Content-Length: 60\r\n",
        b"Content-Length: 99999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"X-Timestamp: 1.000001\r\n",
        b"\r\n",
        b"\n",
        b"--bb\r\n",
        b"--bb--",
        b"\r\n--123456789000000000000987654321\r\n",
        b"0\r\n\r\n",
        b"8\r\n\r\n--bb\r\n\r\n",
        b"ffffffff\r\n",
        b"1;x=y\r\n",
        fake_jpeg(60),
        fake_jpeg(100),
        b"\xff\xd8\xff",
        b"\xff\xd9",
        b"3c\r\n" + fake_jpeg(60) + b"\r\n",
    )

    def seeds(self) -> list[bytes]:
        """Every layout, small; the first bytes of the recorded captures; answers that are no stream."""
        bodies = [fake_jpeg(60 + 37 * number, number) for number in range(4)]
        found = [stream(layout, bodies) for layout in LAYOUTS]
        found += [
            stream(layout, [fake_jpeg(99), fake_jpeg(100), fake_jpeg(101)] * 2)
            for layout in ("B-stamp", "C", "D")
        ]
        for kind in (
            b"text/html",
            b"application/json",
            b"application/octet-stream",
            b"multipart/x-mixed-replace",
        ):
            found += [
                head(kind, chunked=True) + chunk(b"{}") + b"0\r\n\r\n",
                head(kind, chunked=False) + b"{}",
            ]
        captures = sorted((FIXTURES / "captures").glob("*.bin")) if FIXTURES.is_dir() else []
        return found + [path.read_bytes()[: self.most] for path in captures]

    def dress(self, data: bytes, rng: random.Random) -> bytes:
        """Have a head in front, mostly: without one nothing behind it is read."""
        if rng.random() < 0.3 and not data.startswith(b"HTTP/"):
            return head(b"multipart/x-mixed-replace;boundary=bb", chunked=rng.random() < 0.5) + data
        return data

    def check(self, data: bytes) -> Hashable:
        """Parse it whole, cut at random, and byte by byte, on both ways."""
        seed = zlib.crc32(data)
        rng = random.Random(seed)
        limits = TINY if seed & 1 else ROOMY
        reference = _parse(data, (), limits, False)
        assert kinds(reference)[-1] in ("end", "error"), "no end"
        assert kinds(reference).count("end") <= 1, "two ends"
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((1, 3, 10, 60))))
        splits: list[Iterable[int]] = [(), cuts]
        if seed & 0x70 == 0:
            splits.append(range(1, min(len(data), 900)))
        for short_cut in (True, False):
            for split in splits:
                found = _parse(data, split, limits, short_cut)
                if reference[-1][0] == "error":  # how much came out before it depends on the split
                    assert found[-1] == reference[-1], "another error"
                    assert (
                        found[:-1] == reference[: len(found) - 1]
                        or reference[:-1] == found[: len(reference) - 1]
                    )
                else:
                    assert found == reference, "other events"
        if seed & 0x700 == 0:
            _work(data, rng.choice((1, 50, 1436)))
        words = tuple(event[0] if event[0] not in ("damage", "error") else event for event in reference)
        return tuple(dict.fromkeys(words)), len(words).bit_length()


def _work(data: bytes, step: int) -> None:
    parser = ResponseParser(Limits(buffer=1 << 17, max_part=1 << 16, max_body=1 << 16))
    counting = _Searched(len(parser._window.data))
    parser._window.data, parser._window.view = counting, memoryview(counting)
    with counted_calls() as calls:
        try:
            for at in range(0, len(data), step):
                piece = data[at : at + step]
                parser.get_buffer()[: len(piece)] = piece
                parser.receive(len(piece))
        except RemoteProtocolError:
            pass
    size = len(data) + 100
    assert calls.count <= MOST_CALLS * size, "calls"
    assert parser._window.moved <= MOST_MOVED * size, "bytes moved"
    assert counting.searched <= MOST_SEARCHED * size, "bytes searched"
