"""What users write for a camera, and what must not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressoscope.device.address import clean_text, parse_address
from espressoscope.errors import CameraError, ConnectError, ConnectReason, UnsupportedError


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "auth"),
    [
        ("192.168.4.1", "192.168.4.1", 80, "", None),
        (" 192.168.4.1 ", "192.168.4.1", 80, "", None),
        ("cam.local:8080", "cam.local", 8080, "", None),
        ("Matchboxscope-2.local", "Matchboxscope-2.local", 80, "", None),
        ("http://10.0.0.7", "10.0.0.7", 80, "", None),
        ("http://10.0.0.7/", "10.0.0.7", 80, "/", None),
        ("10.0.0.7:81/", "10.0.0.7", 81, "", None),
        ("HTTP://10.0.0.7:81/stream?x=1#frag", "10.0.0.7", 81, "/stream?x=1", None),
        ("http://10.0.0.7?video=1", "10.0.0.7", 80, "/?video=1", None),
        ("http://me:se%40cret@10.0.0.7:81/stream", "10.0.0.7", 81, "/stream", ("me", "se@cret")),
        ("me:a@b@cam", "cam", 80, "", ("me", "a@b")),
        ("[::1]:8080", "::1", 8080, "", None),
        ("::1", "::1", 80, "", None),
        ("http://[fe80::1%25eth0]/", "fe80::1%25eth0", 80, "/", None),
    ],
)
def test_an_address_is_taken_apart(
    text: str, host: str, port: int, path: str, auth: tuple[str, str] | None
) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.path, address.auth) == (host, port, path, auth)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "cam:",
        "cam:0",
        "cam:65536",
        "cam:eighty",
        "cam:８０",
        "a b",
        "cam/stream",
        "cam//",
        "/",
        "-cam",
        "../../etc/passwd",
        "http://",
        "http://cam/a b",
        "cam\x1b[31m",
        "[::1",
        "::zz",
        "x" * 300,
        "cam:99999999999999999999",
    ],
)
def test_what_is_no_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ConnectError) as caught:
        parse_address(text)
    assert caught.value.reason is ConnectReason.UNRESOLVED
    assert caught.value.hint
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("text", ["https://cam", "rtsp://cam/1", "file:///etc/passwd"])
def test_other_schemes_are_not_spoken(text: str) -> None:
    with pytest.raises(UnsupportedError):
        parse_address(text)


def test_a_password_is_never_shown() -> None:
    address = parse_address("http://me:hidden@cam/stream")
    assert "hidden" not in f"{address} {address!r} {address.url} {address.netloc}"
    with pytest.raises(ConnectError) as caught:
        parse_address("http://me:hidden@cam:99999")
    assert "hidden" not in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    error: CameraError | None = None
    try:
        address = parse_address(text)
    except (ConnectError, UnsupportedError) as caught:
        error = caught
    if error is None:
        assert address.host
        assert 0 < address.port < 65536
    else:
        assert error.hint
        assert str(error).isprintable()


def test_texts_from_the_network_are_cleaned() -> None:
    assert clean_text("cam\x1b[2J\u202e\r\n one ") == "cam[2J one"
    assert len(clean_text("x" * 500)) == 64


@pytest.mark.parametrize(
    "text",
    [
        "http://me:XQ@ZW@host:x/",
        "http://me:XQ/@host/",
        "http://me:XQ/ZW@host/",
        "me:XQ@host:99999",
        "me:XQ@ho/st",
        "ftp://me:XQ@host/",
        "http://m%3Ae:XQ@host/",
    ],
)
def test_a_password_in_a_bad_address_is_not_shown(text: str) -> None:
    with pytest.raises(CameraError) as caught:
        parse_address(text)
    assert "XQ" not in str(caught.value)
    assert "ZW" not in str(caught.value)
