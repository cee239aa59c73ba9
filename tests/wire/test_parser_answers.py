"""Heads, and bodies that are not multipart: everything but streams."""

from __future__ import annotations

import random

import pytest
from wire_streams import Watched, bodies_of, chunk, every_split, fake_jpeg, head, kinds, parse

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.events import Body, End, Head
from espressoscope.wire.limits import Limits
from espressoscope.wire.parser import ResponseParser

STATUS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 37\r\n"
    b'Access-Control-Allow-Origin: *\r\n\r\n{"lamp":0,"cam_name":"Matchboxscope"}'
)


def test_status_answer() -> None:
    for cuts in every_split(STATUS):
        events = parse(STATUS, cuts)
        assert kinds(events) == ["head", "body", "end"]
        assert events[0][1:4] == ("1.1", 200, "OK")
        assert events[1] == ("body", b'{"lamp":0,"cam_name":"Matchboxscope"}')
        assert events[2] == ("end", True)


def test_body_of_known_length_ends_without_the_connection_closing() -> None:
    watched = Watched()
    watched.push(STATUS[:-5])
    assert watched.parser.missing == 5
    assert kinds(watched.push(STATUS[-5:])) == ["body", "end"]
    assert watched.push(b"HTTP/1.1 200 OK\r\n\r\nmore") == []
    assert watched.parser.end() == []


def test_every_answer_of_the_recorded_exchanges(shared_fixtures: object) -> None:
    import json
    from pathlib import Path

    exchanges = json.loads((Path(str(shared_fixtures)) / "transcripts" / "esp-idf-httpd.json").read_text())
    seen = set()
    for exchange in exchanges["exchanges"]:
        for step in exchange.get("steps", []):
            answer = step["recv"].replace("<JPEG>", "x" * 2311).encode("latin-1")
            if not answer.startswith(b"HTTP/") or answer.count(b"HTTP/1.1 ") > 1:
                continue
            events = parse(answer)
            assert events[0][0] == "head"
            assert kinds(events)[-1] == "end"
            seen.add(events[0][2])
    assert {200, 404, 405} <= seen


def test_chunked_body() -> None:
    text = b"one path per line\n" * 50
    data = head(b"text/plain", chunked=True)
    data += b"".join(chunk(text[at : at + 7]) for at in range(0, len(text), 7))
    data += b"0\r\n\r\n"
    for cuts in every_split(data):
        assert parse(data, cuts)[1:] == [("body", text), ("end", True)]


def test_chunked_beats_a_length() -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n"
    data += chunk(b"twelve bytes") + b"0\r\n\r\n"
    assert parse(data)[1:] == [("body", b"twelve bytes"), ("end", True)]


def test_body_until_the_connection_closes() -> None:
    # Tasmota's snapshot.jpg: neither length nor chunks, and odd capitals.
    jpeg = fake_jpeg(3000)
    data = b"HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\n"
    data += b"Content-type: image/jpeg\r\n\r\n"
    for cuts in every_split(data + jpeg, random_splits=3):
        events = parse(data + jpeg, cuts)
        assert events[1:] == [("body", jpeg), ("end", True)]


def test_body_that_breaks_off() -> None:
    events = parse(STATUS[:-10])
    assert events[1:] == [("body", b'{"lamp":0,"cam_name":"Match'), ("end", False)]
    events = parse(head(b"text/plain", chunked=True) + b"20\r\nhalf")
    assert events[1:] == [("body", b"half"), ("end", False)]


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (b"HTTP/1.0 200 OK", 200, "OK"),
        (b"HTTP/1.1 500", 500, ""),
        (b"HTTP/1.1 500 ", 500, ""),
        (b"HTTP/1.1  401  401 Unauthorised ", 401, "401 Unauthorised"),
        (b"HTTP/1.1 404 Nothing \xe4 matches", 404, "Nothing ä matches"),
    ],
)
def test_status_lines(line: bytes, status: int, reason: str) -> None:
    data = line + b"\r\nContent-Length: 4\r\n\r\ntext"
    for cuts in every_split(data, random_splits=2):
        events = parse(data, cuts)
        assert events[0][1] == line[5:8].decode()
        assert events[0][2:4] == (status, reason)
        assert events[1] == ("body", b"text")


def test_redirect_and_refusal_are_answers_like_others() -> None:
    data = b"HTTP/1.1 302 Found\r\nLocation: /cam.mjpeg\r\nContent-Length: 0\r\n\r\n"
    events = parse(data)
    assert events[0][2] == 302
    assert ("Location", "/cam.mjpeg") in events[0][4]
    assert events[1:] == [("body", b""), ("end", True)]
    data = b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm="x"\r\n\r\nno'
    assert parse(data)[1:] == [("body", b"no"), ("end", True)]


def test_no_content_has_no_body() -> None:
    watched = Watched()
    assert kinds(watched.push(b"HTTP/1.1 204 No Content\r\nContent-Type: a/b\r\n\r\n")) == [
        "head",
        "body",
        "end",
    ]


def test_interim_answers_are_skipped() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + STATUS
    for cuts in every_split(data, random_splits=2):
        assert parse(data, cuts) == parse(STATUS)
    assert kinds(parse(b"HTTP/1.1 100 Continue\r\n\r\n" * 50)) == ["error"]


def test_header_names_with_spaces_and_other_oddities() -> None:
    # matchboxscope-fw's /getid, with its type and header name.
    data = (
        b"\r\nHTTP/1.1 200 OK\nContent-Type: applicationjson\nAccess - Control - Allow - Origin: *\n"
        b"X-Folded: one\r\n two\r\nNo colon\r\n: no name\r\nX-Twice: 1\r\nx-twice:2\r\n"
        b"Content-Length: \t 2  \r\n\r\n{}"
    )
    for cuts in every_split(data, random_splits=2):
        parser = ResponseParser()
        begin = 0
        for cut in [*cuts, len(data)]:
            parser.feed(data[begin:cut])
            begin = cut
        assert parser.head is not None
        headers = parser.head.headers
        assert headers.get("access - control - allow - origin") == "*"
        assert headers.get("X-FOLDED") == "one two"
        assert headers.get_all("X-Twice") == ["1", "2"]
        assert headers.get("missing") is None
        assert headers.get("missing", "x") == "x"
        assert "content-length" in headers
        assert "missing" not in headers
        assert len(headers) == 6


def test_octet_stream_is_a_stream_only_if_it_looks_like_one() -> None:
    answer = head(b"application/octet-stream", chunked=False)
    for body in (
        b"",
        b"-",
        b"--",
        b"--x",
        b"--x\r\n",
        b"--x\r\nother: y",
        b"\xff\xd8\xff\xe0",
        b"--" + b"y" * 300,
    ):
        for cuts in every_split(answer + body, random_splits=1):
            assert parse(answer + body, cuts)[1:] == [("body", body), ("end", True)]
    jpeg = fake_jpeg(300)
    for length in (b"Content-Length: 300\r\n", b""):
        stream = b"--x\r\nContent-type: image/jpeg\r\n" + length + b"\r\n" + jpeg + b"\r\n--x--"
        for cuts in every_split(answer + stream, random_splits=1):
            events = parse(answer + stream, cuts)
            assert bodies_of(events) == [jpeg]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"--b\r\nContent-Type: image/jpeg\r\n", "without an HTTP answer"),
        (fake_jpeg(100), "without an HTTP answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP answer"),
        (b"\x16\x03\x01", "not an HTTP answer"),
        (b"HTTP/1.1 OK\r\n", "not an HTTP status line"),
        (b"HTTP/2\r\n", "not an HTTP status line"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 5000, "no end"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, "no end"),
        (b"HTTP/1.1 200 OK\r\n" + (b"X: " + b"y" * 1000 + b"\r\n") * 20, "no end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n", "over the limit"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 400 + b"\r\n\r\n", "usable number"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "contradict"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "unknown Transfer-Encoding"),
        (head(b"text/html", chunked=True) + b"zz\r\n", "not a chunk size"),
        (head(b"text/html", chunked=True) + b"-5\r\n", "not a chunk size"),
        (head(b"text/html", chunked=True) + b"5" * 30 + b"\r\n", "not a chunk size"),
        (head(b"text/html", chunked=True) + b"5" * 5000, "endless chunk-size line"),
        (head(b"text/html", chunked=True) + b"3\r\nabcd", "longer than its size"),
        (head(b"text/html", chunked=True) + b"0\r\n" + b"X: y\r\n" * 100, "endless trailer"),
        (b"", "before an answer had come"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "before an answer had come"),
    ],
)
def test_what_is_no_answer(data: bytes, words: str) -> None:
    for cuts in every_split(data, random_splits=2):
        events = parse(data, cuts)
        assert events[-1][0] == "error"
        assert words in events[-1][1]


def test_what_is_no_answer_is_known_at_its_first_bytes() -> None:
    for data in (b"220 ftp ready", b"<html>", b"--", b"\xff\xd8", b"HTTQ"):
        with pytest.raises(RemoteProtocolError):
            ResponseParser().feed(data)


def test_dead_parser_stays_dead() -> None:
    parser = ResponseParser()
    for call in (
        lambda: parser.feed(b"nonsense"),
        lambda: parser.feed(STATUS),
        lambda: parser.receive(0),
        parser.end,
    ):
        with pytest.raises(RemoteProtocolError, match="not an HTTP answer") as caught:
            call()
    assert caught.value.sample == b"nonsense"
    assert caught.value.offset == 0
    for _ in range(200):
        with pytest.raises(RemoteProtocolError):
            parser.feed(b"x" * 100_000)
    assert parser._window.capacity < 1_000_000


def test_a_large_body_replaces_the_buffer_within_the_limits() -> None:
    body = random.Random(1).randbytes(700_000)
    limits = Limits(buffer=4096, max_body=700_000, max_part=1000)
    for announced in (b"Content-Length: 700000\r\n", b""):
        data = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n" + announced + b"\r\n" + body
        watched = Watched(limits)
        events = watched.push(data)
        events += [("body", event.data) for event in watched.parser.end() if isinstance(event, Body)]
        assert ("body", body) in events
        assert watched.parser._window.moved <= 3 * len(data)
        assert watched.largest <= limits.max_buffer
    assert kinds(parse(data + b"x", limits=limits)) == ["head", "error"] or kinds(
        parse(data + b"x", limits=limits)
    ) == ["error"]


def test_huge_length_allocates_nothing() -> None:
    watched = Watched()
    before = watched.parser._window.capacity
    with pytest.raises(RemoteProtocolError, match="over the limit"):
        watched.push(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 2147483647\r\n\r\n")
    assert watched.parser._window.capacity == before


def test_receive_refuses_counts_that_cannot_be() -> None:
    parser = ResponseParser()
    room = len(parser.get_buffer())
    for count in (-1, room + 1):
        with pytest.raises(ValueError, match="bytes cannot have been received"):
            parser.receive(count)
    assert parser.receive(0) == []


def test_counters() -> None:
    parser = ResponseParser()
    assert (parser.offset, parser.buffered, parser.missing, parser.head) == (0, 0, 1, None)
    parser.feed(STATUS[:10])
    assert (parser.offset, parser.buffered) == (0, 10)
    events = parser.feed(STATUS[10:-7])
    assert [type(event) for event in events] == [Head]
    assert parser.missing == 7
    assert parser.offset + parser.buffered == len(STATUS) - 7
    assert [type(event) for event in parser.feed(STATUS[-7:])] == [Body, End]
    assert (parser.offset, parser.buffered, parser.missing) == (len(STATUS), 0, 1)


def test_missing_is_what_the_picture_still_misses() -> None:
    from wire_streams import stream

    jpeg = fake_jpeg(5000)
    for layout in ("B", "C", "D", "motion"):
        data = stream(layout, [jpeg] * 5)
        at = data.rindex(jpeg[:60]) + 500
        parser = ResponseParser()
        parser.feed(data[:at])
        assert parser.missing == 4500, layout


def test_plain_words_for_people() -> None:
    for event in ResponseParser().feed(STATUS):
        assert repr(event).startswith("<")
    from espressoscope.wire.headers import Headers

    headers = Headers([("A", "b")])
    assert repr(headers) == "Headers([('A', 'b')])"
    assert headers == Headers([("A", "b")])
    assert headers != "A: b"
    assert hash(headers) == hash(Headers([("A", "b")]))
