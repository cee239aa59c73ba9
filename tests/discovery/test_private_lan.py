"""Cameras among silent addresses, on a network of their own; with the figures a search has to keep."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from support import PrivateNetwork

PROGRAM = Path(__file__).with_name("private_lan.py")
FIVE = [f"10.77.0.{n}" for n in (9, 77, 140, 200, 254)]
SEVEN = [
    "10.77.0.9",
    "10.77.3.77",
    "10.77.5.140",
    "10.77.8.200",
    "10.77.11.254",
    "10.77.14.3",
    "10.77.15.254",
]
ASKED = ["GET /status HTTP/1.1", "GET /dump HTTP/1.1"]


@pytest.fixture
def lan(netns: PrivateNetwork, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Search a private network; the plan is that of `private_lan`. With `default` in the default places."""

    def search(default: bool = False, timeout_s: float = 100, **plan: Any) -> dict[str, Any]:
        env = {"ESPRESSOSCOPE_STATE": str(tmp_path / "lan")}
        if default:
            env["ESPRESSOSCOPE_NETWORKS"] = ""
        done = netns.run([sys.executable, str(PROGRAM), json.dumps(plan)], env=env, timeout_s=timeout_s)
        assert done.stderr == ""
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    return search


def at(hosts: list[str], **options: Any) -> list[dict[str, Any]]:
    return [{"host": host, **options} for host in hosts]


def hosts(search: dict[str, Any]) -> list[str]:
    return sorted(info["url"].removeprefix("http://") for info in search["found"])


def test_five_cameras_among_silent_addresses(lan: Any) -> None:
    searches = [{"networks": "10.77.0.0/24"}] * 3
    report = lan(cameras=at(FIVE, side_delays=False), searches=searches)
    for search in report["searches"]:
        assert hosts(search) == sorted(FIVE)
        assert {info["found_by"] for info in search["found"]} == {"scan"}
        # One thread for the loop, however many addresses, and the one that waits.
        assert search["threads"] == 2
    for requests in report["requests"].values():
        assert requests == ASKED * 3, "no stream, no picture, nothing twice"
    # The promises, of the best of three: the machine may be busy with something else.
    best = {key: min(search[key] for search in report["searches"]) for key in ("cpu_s", "seconds")}
    first = min(search["found"][0]["at"] for search in report["searches"])
    last = min(search["found"][-1]["at"] for search in report["searches"])
    assert first < 0.2
    assert last < 1.2
    assert best["cpu_s"] < 0.2
    # The silent ones are waited for 1 s, and 2 s at the second try.
    assert 3 <= best["seconds"] < 4


def test_seven_cameras_in_a_wide_network(lan: Any) -> None:
    report = lan(prefix=20, cameras=at(SEVEN), searches=[{"networks": "10.77.0.0/20"}])
    assert hosts(report["searches"][0]) == sorted(SEVEN)
    assert all(requests == ASKED for requests in report["requests"].values())


def test_the_default_places_hold_the_local_network(lan: Any, tmp_path: Path) -> None:
    report = lan(default=True, cameras=at(FIVE[:2]), searches=[{"timeout": 0.3}] * 2)
    first, second = report["searches"]
    assert hosts(first) == hosts(second) == sorted(FIVE[:2])
    assert {info["found_by"] for info in second["found"]} == {"remembered"}
    remembered = json.loads((tmp_path / "lan" / "hosts.json").read_text(encoding="utf-8"))["hosts"]
    assert {entry["host"] for entry in remembered} == set(FIVE[:2])


def test_the_access_point_is_known_by_its_address(lan: Any) -> None:
    report = lan(default=True, own="192.168.4.2", cameras=at(["192.168.4.1"]), searches=[{"timeout": 0.3}])
    (info,) = report["searches"][0]["found"]
    assert (info["url"], info["found_by"]) == ("http://192.168.4.1", "access-point")


def test_no_network_is_an_error_that_says_so(netns: PrivateNetwork) -> None:
    # A bare namespace: not even loopback is up.
    done = netns.python(
        "import espressoscope as es\n"
        "try:\n    print(list(es.discover('10.9.8.0/24, 10.9.9.1')))\n"
        "except es.DiscoveryError as error:\n    print(error)\n"
    )
    assert done.stderr == ""
    assert "no way to 10.9.8.0/24, 10.9.9.1/32 from this computer" in done.stdout


# --- identity


def test_macs_of_cameras_that_do_not_tell_them(lan: Any) -> None:
    silent = {"firmware": "camerawebserver"}
    cameras = [
        *at(["10.77.0.9", "10.77.0.77"], **silent, link=True),
        *at(["10.77.0.78", "10.77.0.79"], **silent),  # two behind one network card, as behind an extender
        *at(["10.88.0.5"], **silent, routed=True),
        *at(["10.77.0.5"], link=True),
    ]
    networks = {"networks": "10.77.0.0/25, 10.88.0.0/29", "timeout": 0.5}
    report = lan(cameras=cameras, searches=[networks] * 2)
    for search in report["searches"]:
        macs = {info["url"].removeprefix("http://"): info["mac"] for info in search["found"]}
        assert macs.pop("10.77.0.5") not in (None, "02:CA:4D:00:00:05"), "its own word comes first"
        assert macs == {
            "10.77.0.9": "02:CA:4D:00:00:00",
            "10.77.0.77": "02:CA:4D:00:00:01",
            "10.77.0.78": None,
            "10.77.0.79": None,
            "10.88.0.5": None,
        }


def test_a_camera_that_tells_no_mac_is_known_by_its_neighbourhood(lan: Any) -> None:
    silent = {"firmware": "camerawebserver"}
    cameras = [
        *at(["10.77.0.9", "10.77.0.77"], **silent, link=True),
        *at(["10.77.0.78", "10.77.0.79"], **silent),  # two behind one network card, as behind an extender
    ]
    first, mac = "http://10.77.0.9", "02:CA:4D:00:00:00"
    known = [
        (first, None),
        ("http://10.77.0.77", mac),  # it has moved, and another of its kind is in its place
        ("http://10.77.0.78", None),
    ]
    report = lan(default=True, cameras=cameras, searches=[{"way": "open", "known": known}])
    assert report["searches"][0]["opened"] == [[first, mac], [first, mac], ["http://10.77.0.78", None]]


def test_twenty_four_boards_of_one_name_keep_theirs_over_a_restart(lan: Any) -> None:
    free = [f"10.77.0.{n}" for n in range(2, 254)]
    chance = random.Random(7)
    names = []
    for _ in range(2):
        cameras = [{"host": host, "number": n} for n, host in enumerate(chance.sample(free, 24))]
        chance.shuffle(cameras)
        announce = [
            ("Matchboxscope" + (f"-{n + 1}" if n else ""), "_http._tcp", camera["host"], 80, {})
            for n, camera in enumerate(cameras)
        ]
        # What was remembered of the first time is no help in the second: other boards are there now.
        report = lan(
            default=True, cameras=cameras, announce=announce, searches=[{"timeout": 0.5}, {"way": "fleet"}]
        )
        found = report["searches"][0]["found"]
        assert len(found) == len({info["mac"] for info in found}) == 24
        assert {info["name"] for info in found} == {"Matchboxscope"}
        labels = {info["mac"]: info["label"] for info in found}
        assert report["searches"][1]["names"] == labels
        names.append(labels)
    assert names[0] == names[1]
    assert len(set(names[0].values())) == 24


# --- other sources


def test_announced_cameras_come_where_the_scan_does_not_look(lan: Any) -> None:
    cameras = [
        {"host": "10.77.0.9"},
        {"host": "10.77.0.10", "port": 8080, "stream_port": 8081},
        {"host": "10.77.0.11", "port": 8080, "stream_port": 8081},
    ]
    announce = [
        ("Matchboxscope", "_http._tcp", "10.77.0.9", 80, {}),
        ("cam", "_esp-cam._tcp", "10.77.0.10", 8080, {}),
        ("printer", "_http._tcp", "10.77.0.12", 80, {}),
    ]
    report = lan(default=True, cameras=cameras, announce=announce, searches=[{}])
    found = {info["url"]: info["found_by"] for info in report["searches"][0]["found"]}
    assert found == {"http://10.77.0.9": "scan", "http://10.77.0.10:8080": "mdns"}


def test_neighbours_are_asked_first_and_beyond_the_part_that_is_scanned(lan: Any) -> None:
    # A /20 is cut to the /22 around the own address; 10.77.9.9 lies beyond.
    cameras = at(["10.77.9.9", "10.77.3.200"])
    known = {"networks": "10.77.9.9, 10.77.3.200", "timeout": 0.5, "forget": True}
    report = lan(default=True, prefix=20, cameras=cameras, searches=[known, {}], timeout_s=60)
    first, second = report["searches"]
    assert hosts(first) == hosts(second) == ["10.77.3.200", "10.77.9.9"]
    assert {info["found_by"] for info in second["found"]} == {"scan"}
    # Alone, 10.77.3.200 would have its turn after 3 s: the pace is 220 a second.
    assert second["found"][-1]["at"] < 2


def test_a_sleeper_in_a_wide_network_is_found_at_the_second_try(lan: Any) -> None:
    cameras = at(["10.77.0.9"], asleep_s=2)
    report = lan(prefix=22, cameras=cameras, searches=[{"networks": "10.77.0.0/22"}])
    (info,) = report["searches"][0]["found"]
    assert info["at"] > 2


# --- the end


def test_a_search_is_over_at_once_when_it_is_closed(lan: Any) -> None:
    options = {"way": "close", "pauses": [0, 0.02, 0.1, 0.2, 0.3, 0.4, 0.6, 1.2]}
    report = lan(
        default=True, prefix=20, cameras=at(FIVE[:1]), searches=[options, options, {"networks": FIVE[0]}]
    )
    one, two, after = report["searches"]
    assert len(one["close_s"]) == 8
    assert [min(pair) < 0.1 for pair in zip(one["close_s"], two["close_s"], strict=True)] == [True] * 8
    assert hosts(after) == FIVE[:1]


def test_two_searches_at_once(lan: Any) -> None:
    report = lan(cameras=at(FIVE), searches=[{"way": "twice", "networks": "10.77.0.0/24", "timeout": 0.5}])
    assert report["searches"][0]["hosts"] == [sorted(FIVE)] * 2
