"""The one request."""

from __future__ import annotations

import pytest

from espressoscope.wire.request import build_get


def test_request_is_small_and_raw() -> None:
    assert build_get("192.168.4.1", "/control?var=autofocus&val=-100;100;5") == (
        b"GET /control?var=autofocus&val=-100;100;5 HTTP/1.1\r\n"
        b"Host: 192.168.4.1\r\nConnection: close\r\n\r\n"
    )
    # esp_http_server takes header blocks of 512 bytes.
    assert len(build_get("esp32-cam-with-a-long-name.local:8080", "/status")) < 200


def test_request_with_a_password_and_as_http_1_0() -> None:
    request = build_get("cam:81", "/", auth=("admin", "pässword"), version="1.0")
    assert request.startswith(b"GET / HTTP/1.0\r\nHost: cam:81\r\n")
    assert b"Authorization: Basic YWRtaW46cMOkc3N3b3Jk\r\n" in request


def test_percent_and_latin_letters_go_through_unchanged() -> None:
    assert b"/a%3Bb?\xe4" in build_get("cam", "/a%3Bb?ä")


@pytest.mark.parametrize(
    "path", ["status", "", "/a b", "/a\r\nX: y", "/\x00", "/\x7f", "/\t", "/中", "/\xa0"]
)
def test_refused_paths(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|Latin-1"):
        build_get("cam", path)


@pytest.mark.parametrize("host", ["", "a b", "cam\r\nX: y", "cam/path", "cam\x00"])
def test_refused_hosts(host: str) -> None:
    with pytest.raises(ValueError, match="not a host name"):
        build_get(host, "/")


def test_refusals_do_not_show_a_password() -> None:
    with pytest.raises(ValueError, match="colon") as caught:
        build_get("cam", "/", auth=("us:er", "secret"))
    assert "secret" not in str(caught.value)
    with pytest.raises(ValueError, match="version"):
        build_get("cam", "/", version="2")
