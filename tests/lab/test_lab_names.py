"""Names for cameras, plates and profiles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espressoscope.lab.names import check_name, free_name, key_of, may_be_name
from espressoscope.model import CameraInfo


def camera(name: str, mac: str | None = "02:E5:00:AB:CD:EF", url: str = "http://10.0.0.20") -> CameraInfo:
    return CameraInfo(name, url, None, mac, "matchboxscope", "scan")


@pytest.mark.parametrize(
    "name",
    [
        "A1",
        "plate 1 A1",
        "Küvette",
        "лупа",
        "顕微鏡",
        "a.b",
        "A_1",
        "1",
        "50%",
        "(x)",
        "=",
        "#1",
        "cam.local",
    ],
)
def test_names_people_give(name: str) -> None:
    assert check_name(name) == name
    assert check_name(f"  {name}\t") == name
    assert may_be_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 49, "longer than 48"),
        ("顕" * 41, "longer than 48 characters, or 120 bytes"),
        ("a\x1b[2J", r"invisible character U\+001B"),
        ("a\u200db", r"invisible character U\+200D"),
        ("a\u202eb", r"invisible character U\+202E"),
        ("a\udc80b", r"invisible character U\+DC80"),
        ("a\nb", r"invisible character U\+000A"),
        *((f"a{c}b", "Windows allows in no file name") for c in '<>:"/\\|?*'),
        ("me@home", "user name"),
        ("-o", "option"),
        (".hidden", "hidden"),
        ("..", "hidden"),
        ("end.", "full stop"),
        ("CON", "device"),
        ("nul.txt", "device"),
        ("Com1", "device"),
        ("lpt9 .x", "device"),
        ("192.168.4.1", "an address"),
        ("fe80", None),
    ],
)
def test_names_that_some_system_cannot_keep(name: str, why: str | None) -> None:
    if why is None:
        assert check_name(name) == name
        return
    assert not may_be_name(name)
    with pytest.raises(ValueError, match=why) as caught:
        check_name(name)
    assert all(c.isprintable() for c in str(caught.value))


def test_addresses_are_no_names() -> None:
    for address in ("http://cam", "cam:81", "10.0.0.2", "::1", "[::1]", "u:p@cam", "cam/stream"):
        assert not may_be_name(address)
    assert may_be_name("cam")


def test_names_that_differ_in_case_or_in_composition_are_the_same() -> None:
    assert key_of("Küche") == key_of("KÜCHE ") == key_of("Ku\u0308che") == key_of(check_name("Ku\u0308che"))
    assert key_of("A1") != key_of("A11")


def test_boards_of_one_factory_name_are_told_apart_by_their_mac() -> None:
    assert free_name(camera("Matchboxscope"), ()) == "Matchboxscope-ABCDEF"
    assert free_name(camera("leaf"), ()) == "leaf"
    assert free_name(camera("leaf"), {"leaf"}) == "leaf-ABCDEF"
    assert free_name(camera("leaf"), {"leaf", "leaf-abcdef"}) == "leaf-02E500ABCDEF"
    assert free_name(camera("CameraWebServer", None), ()) == "CameraWebServer-10.0.0.20"
    assert free_name(camera("x", None, "http://[fe80::1]:8080"), {"x"}) == "x-fe80--1--8080"


@given(st.text(max_size=200), st.text(max_size=40), st.sets(st.text(max_size=50), max_size=5), st.booleans())
def test_whatever_a_camera_calls_itself_it_gets_a_good_name(
    own: str, host: str, taken: set[str], with_mac: bool
) -> None:
    info = camera(own, "02:E5:00:AB:CD:EF" if with_mac else None, f"http://{host}")
    taken = {key_of(name) for name in taken}
    for _ in range(5):
        name = free_name(info, taken)
        assert check_name(name) == name
        assert key_of(name) not in taken
        taken.add(key_of(name))
