"""What the doctor says of this computer's networks, on networks of their own."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope.discovery.networks import Link
from espressoscope.lab.doctor_network import Surroundings, _askable, _remote, held_here

if TYPE_CHECKING:
    from support import PrivateNetwork

PROGRAM = Path(__file__).with_name("lab_lan.py")
OWN = ["10.77.0.1/24"]
CAMERA = {"host": "10.77.0.9", "framesize": "VGA", "fps": 10, "side_delays": False}


def codes(report: dict[str, Any], number: int = 0) -> dict[str, Any]:
    """Codes of one examination, and their words."""
    examination = report["findings"][number]
    assert examination["seconds"] < 22
    return {code: words for code, _, words, _ in examination["found"]}


def wrong(report: dict[str, Any], number: int = 0) -> set[str]:
    return {code for code, ok, _, _ in report["findings"][number]["found"] if ok is False}


def live(netns: PrivateNetwork, tmp_path: Path, **plan: Any) -> dict[str, Any]:
    env = {"ESPRESSOSCOPE_NETWORKS": "", "ESPRESSOSCOPE_STATE": str(tmp_path)}
    done = netns.run([sys.executable, str(PROGRAM), json.dumps(plan)], env=env, timeout_s=100)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_the_only_camera_is_found_and_looked_at(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(netns, tmp_path, own=OWN, cameras=[CAMERA], diagnose=[{}, {"camera": "10.77.0.9"}])
    assert wrong(report, 0) == wrong(report, 1) == set()
    assert len(codes(report, 0)) == len(report["findings"][0]["found"]), "nothing is said twice"
    assert {"network", "cameras", "camera", "pictures", "let-go"} <= set(codes(report, 0))
    assert codes(report)["network"] == "This computer is in 10.77.0.0/24 (near, 10.77.0.1)."
    assert "One camera found: Matchboxscope at 10.77.0.9." in codes(report)["cameras"]
    assert "cameras" not in codes(report, 1)
    assert not any("control" in line or "capture" in line for line in report["requests"][0])


def test_of_several_only_the_radio_is_asked(netns: PrivateNetwork, tmp_path: Path) -> None:
    weak = {**CAMERA, "host": "10.77.0.8", "number": 8, "rssi": -84}
    report = live(netns, tmp_path, own=OWN, cameras=[CAMERA, weak], diagnose=[{}])
    assert wrong(report) == {"radio-weak"}
    assert codes(report)["cameras"].startswith("2 cameras found: Matchboxscope at 10.77.0.")
    assert codes(report)["radio-weak"].startswith("Matchboxscope at 10.77.0.8: ")
    assert not any(line.startswith("GET / ") for requests in report["requests"] for line in requests)


def test_a_silent_network(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(
        netns,
        tmp_path,
        own=OWN,
        diagnose=[{"camera": "10.77.0.9"}, {}, {"search": False}, {"networks": OWN[0]}],
    )
    assert wrong(report, 0) == {"absent", "network-silent"}
    assert wrong(report, 1) == {"no-camera", "network-silent"}
    assert wrong(report, 2) == {"network-silent"}, "the short form says only what may be the reason"
    assert "network" not in codes(report, 2)
    assert wrong(report, 3) == {"no-camera", "network-silent"}


def test_clients_kept_apart(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(netns, tmp_path, own=OWN, others=["10.77.0.254"], diagnose=[{"camera": "10.77.0.9"}, {}])
    assert wrong(report, 0) == {"absent", "one-neighbour"}
    assert wrong(report, 1) == {"no-camera", "one-neighbour"}
    assert "10.77.0.254" in codes(report)["one-neighbour"]


def test_others_are_there(netns: PrivateNetwork, tmp_path: Path) -> None:
    others = ["10.77.0.254", "10.77.0.17", "10.77.0.18"]
    report = live(netns, tmp_path, own=OWN, others=others, diagnose=[{"camera": "10.77.0.9"}, {}])
    assert wrong(report, 0) == {"absent"}
    assert wrong(report, 1) == {"no-camera"}
    assert codes(report, 0)["neighbours"].startswith("3 devices answer in 10.77.0.0/24")
    assert codes(report, 1)["neighbours"].startswith("3 devices answer in 10.77.0.0/24")


def test_there_and_deaf(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(netns, tmp_path, own=OWN, deaf=["10.77.0.9"], diagnose=[{"camera": "10.77.0.9"}])
    assert wrong(report) == {"deaf"}


def test_a_firewall_here_and_a_way_that_leads_astray(netns: PrivateNetwork, tmp_path: Path) -> None:
    near = [
        "route add prohibit 10.77.0.8/32",
        "link add vpn type veth peer name nowhere",
        "address add 10.8.0.2/24 dev vpn",
        "link set vpn up",
        "link set nowhere up",
        "route add 10.77.0.9/32 dev vpn src 10.8.0.2",
    ]
    asked = [{"camera": "10.77.0.8"}, {"camera": "10.77.0.9"}]
    report = live(netns, tmp_path, own=OWN, others=["10.77.0.254", "10.77.0.2"], near=near, diagnose=asked)
    assert wrong(report, 0) == {"firewall"}
    assert "way-astray" in codes(report, 1)
    assert "leave by 10.8.0.2" in codes(report, 1)["way-astray"]


def test_a_cameras_own_access_point(netns: PrivateNetwork, tmp_path: Path) -> None:
    camera = {**CAMERA, "host": "192.168.4.1"}
    own = ["192.168.4.2/24"]
    report = live(netns, tmp_path, own=own, cameras=[camera], diagnose=[{"camera": "192.168.4.1"}])
    assert wrong(report) == set()
    assert {"access-point", "own-network", "pictures"} <= set(codes(report))
    assert codes(report)["access-point"].endswith("(192.168.4.0/24), and there is no internet in it.")


def test_not_in_the_access_points_network(netns: PrivateNetwork, tmp_path: Path) -> None:
    near = ["route add default via 10.77.0.254"]
    asked = [{"camera": "192.168.4.1"}, {"camera": "172.16.1.1"}, {"networks": "172.16.1.0/29"}]
    report = live(netns, tmp_path, own=OWN, others=["10.77.0.254"], near=near, diagnose=asked)
    assert wrong(report, 0) == {"not-at-access-point"}
    assert wrong(report, 1) == {"beyond"}
    assert {"no-camera"} <= wrong(report, 2)
    assert "172.16.1.0/29 is none of the networks" in codes(report, 2)["foreign-network"]


def test_no_way_there(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(netns, tmp_path, own=OWN, diagnose=[{"camera": "172.16.1.1"}, {"camera": "192.168.4.1"}])
    assert wrong(report, 0) == {"no-way"}
    assert wrong(report, 1) == {"not-at-access-point"}


def test_no_network_at_all(netns: PrivateNetwork, tmp_path: Path) -> None:
    plan = [{}, {"camera": "10.77.0.9"}, {"search": False}, {"networks": "10.77.0.8/30"}]
    report = live(netns, tmp_path, diagnose=plan)
    assert wrong(report, 0) == {"no-network", "no-camera"}
    assert wrong(report, 1) == {"no-network", "no-way"}
    assert wrong(report, 2) == {"no-network"}
    assert wrong(report, 3) == {"no-network", "search-failed"}
    assert "search-cut" not in codes(report, 3)


def test_a_self_assigned_address(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(netns, tmp_path, own=["169.254.7.7/16"], diagnose=[{"search": False}])
    assert "169.254.7.7 (near)" in codes(report)["self-assigned"]
    assert wrong(report) == {"no-network"}


# --- without a network of their own


def link(address: str, prefix: int = 24) -> Link:
    interface = ipaddress.IPv4Interface(f"{address}/{prefix}")
    return Link("wlan0", interface.ip, interface.network)


def test_macos_is_reminded_of_its_permission() -> None:
    """Its refusal looks like silence: no route, at once, or nothing at all."""
    for platform, wanted in (("darwin", True), ("linux", False), ("win32", False)):
        around = Surroundings([link("198.51.100.5")], platform)  # a network of nobody (RFC 5737)
        found = asyncio.run(around.alive([ipaddress.ip_network("198.51.100.0/24")]))
        assert ("local-network-permission" in {finding.code for finding in found}) is wanted


def test_of_few_addresses_nothing_is_concluded() -> None:
    around = Surroundings([link("198.51.100.5")], "linux")

    def told(network: str) -> set[str]:
        return {found.code for found in asyncio.run(around.alive([ipaddress.ip_network(network)]))}

    assert told("198.51.100.0/24") == told("198.51.0.0/16") == {"network-silent"}
    assert told("198.51.100.77/32") == told("198.51.100.128/25") == told("10.0.0.0/24") == set()


def test_only_networks_that_may_be_searched_are_asked_who_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    near = ipaddress.IPv4Network("10.77.0.0/24")
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "10.77.0.9/32")
    assert _askable(near, [near]) == []
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "10.77.0.0/22")
    assert len(_askable(near, [near])) == 254


def test_what_an_error_of_the_system_means() -> None:
    around = Surroundings([link("10.0.0.5")])
    assert around.no_way("10.0.0.9", OSError(errno.EPERM, "no")).code == "firewall"
    assert around.no_way("10.0.0.9", OSError(errno.ENETUNREACH, "no")).code == "no-way"
    assert around.no_way("192.168.4.1", OSError(errno.ENETUNREACH, "no")).code == "not-at-access-point"
    assert around.no_way("10.0.0.9", None).code == "no-way"


def test_connections_held_here_are_counted() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        assert held_here("127.0.0.1", port) == 0
        with socket.create_connection(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
            expected = 2 if sys.platform == "linux" else 0
            assert held_here("127.0.0.1", port) == expected
    assert held_here("a-name", 80) == 0


@pytest.mark.skipif(sys.byteorder != "little", reason="the examples are of a little-endian machine")
@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0104A8C0:0051", ("192.168.4.1", 81)),
        ("0000000000000000FFFF00000104A8C0:0050", ("192.168.4.1", 80)),
        ("00000000000000000000000001000000:1F90", ("::1", 8080)),
        ("", None),
        ("0104A8:0051", None),
        ("zz04A8C0:0051", None),
        ("0104A8C0", None),
    ],
)
def test_addresses_as_the_kernel_writes_them(text: str, address: tuple[str, int] | None) -> None:
    wanted = None if address is None else (ipaddress.ip_address(address[0]), address[1])
    assert _remote(text) == wanted
