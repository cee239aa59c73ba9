"""Cameras among silent addresses, on a network of their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support import PrivateNetwork

PROGRAM = Path(__file__).with_name("private_lan.py")
FIVE = [f"10.77.0.{n}" for n in (9, 77, 140, 200, 254)]


def search(
    netns: PrivateNetwork,
    prefix: int,
    addresses: list[str],
    env: dict[str, str] | None = None,
    **options: object,
) -> dict[str, Any]:
    command = [sys.executable, str(PROGRAM), "search", str(prefix), json.dumps(options), *addresses]
    done = netns.run(command, env=env)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_five_cameras_among_silent_addresses(netns: PrivateNetwork) -> None:
    report = search(netns, 24, FIVE, networks="10.77.0.0/24")
    assert sorted(url for url, _, _ in report["found"]) == sorted(f"http://{host}" for host in FIVE)
    assert {found_by for _, found_by, _ in report["found"]} == {"scan"}
    # Long before the silent ones are given up: the waits are 1 s and 2 s.
    assert report["found"][-1][2] < report["seconds"] - 1
    for requests in report["requests"].values():
        assert requests == ["GET /status HTTP/1.1", "GET /dump HTTP/1.1"], (
            "no stream, no picture, nothing twice"
        )


def test_the_default_places_hold_the_local_network(netns: PrivateNetwork, tmp_path: Path) -> None:
    env = {"ESPRESSOSCOPE_NETWORKS": "", "ESPRESSOSCOPE_STATE": str(tmp_path)}
    report = search(netns, 24, FIVE[:2], env, timeout=0.3)
    assert sorted(url for url, _, _ in report["found"]) == sorted(f"http://{host}" for host in FIVE[:2])
    remembered = json.loads((tmp_path / "hosts.json").read_text(encoding="utf-8"))["hosts"]
    assert {entry["host"] for entry in remembered} == set(FIVE[:2])
    again = search(netns, 24, FIVE[:2], env, timeout=0.3)
    assert {found_by for _, found_by, _ in again["found"]} == {"remembered"}


def test_the_access_point_is_known_by_its_address(netns: PrivateNetwork, tmp_path: Path) -> None:
    env = {
        "ESPRESSOSCOPE_NETWORKS": "",
        "ESPRESSOSCOPE_STATE": str(tmp_path),
        "PRIVATE_LAN_OWN": "192.168.4.2",
    }
    report = search(netns, 24, ["192.168.4.1"], env, timeout=0.3)
    assert [(url, found_by) for url, found_by, _ in report["found"]] == [
        ("http://192.168.4.1", "access-point")
    ]


def test_no_network_is_an_error_that_says_so(netns: PrivateNetwork) -> None:
    # A bare namespace: not even loopback is up.
    done = netns.python(
        "import espressoscope as es\n"
        "try:\n    print(list(es.discover('10.9.8.0/24, 10.9.9.1')))\n"
        "except es.DiscoveryError as error:\n    print(error)\n"
    )
    assert done.stderr == ""
    assert "no way to 10.9.8.0/24, 10.9.9.1/32 from this computer" in done.stdout
