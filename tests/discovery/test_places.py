"""Where a search looks."""

from __future__ import annotations

import ipaddress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from espressoscope.discovery.memory import remember
from espressoscope.discovery.networks import Link
from espressoscope.discovery.places import ACCESS_POINT, Places, Target, find_places
from espressoscope.errors import DiscoveryError
from espressoscope.model import CameraInfo

if TYPE_CHECKING:
    from collections.abc import Iterable


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here sends anything: the default places may be worked out."""
    monkeypatch.delenv("ESPRESSOSCOPE_NETWORKS")


def camera_at(url: str) -> CameraInfo:
    return CameraInfo("cam", url, None, None, "matchboxscope", "scan")


def all_targets(places: Places) -> list[Target]:
    return [target for behind in (False, True) for target in places.targets(behind=behind)]


def asked(places: Places) -> set[tuple[str, int]]:
    return {(target.host, target.port) for target in all_targets(places)}


def networks(*texts: str) -> tuple[ipaddress.IPv4Network, ...]:
    return tuple(map(ipaddress.IPv4Network, texts))


def test_given_networks_and_ports_are_exactly_these() -> None:
    remember([camera_at("http://10.9.9.9")])
    places = find_places("127.0.0.1/32, 10.0.0.0/30", "8080-8081")
    assert asked(places) == {
        (host, port) for host in ("127.0.0.1", "10.0.0.1", "10.0.0.2") for port in (8080, 8081)
    }
    assert places.mdns_on == ()
    assert places.size == 6


def test_the_usual_ports() -> None:
    assert {port for _, port in asked(find_places("10.0.0.0/30"))} == {80}
    assert {port for _, port in asked(find_places("127.0.0.1"))} == {80, *range(8080, 8176)}
    assert {port for _, port in asked(find_places("::1"))} == {80, *range(8080, 8176)}


def test_default_places() -> None:
    remember([camera_at("http://10.9.9.9"), camera_at("http://10.9.9.8:8080")])
    places = find_places()
    spots = [(spot.host, spot.port, spot.found_by) for spot in places.spots]
    assert spots[0] == (ACCESS_POINT, 80, "access-point")
    assert set(spots[1:]) == {("10.9.9.9", 80, "remembered"), ("10.9.9.8", 8080, "remembered")}
    assert ipaddress.ip_network("127.0.0.1/32") in places.networks
    assert all(network.prefixlen >= 22 for network in places.networks)
    loopback = {host for host, _ in asked(places) if host.startswith("127.")}
    assert loopback == {"127.0.0.1"}
    assert "127.0.0.1" not in places.mdns_on
    assert places.remembers


def test_given_ports_alone_narrow_the_default_places() -> None:
    remember([camera_at("http://10.9.9.9"), camera_at("http://10.9.9.8:8080")])
    places = find_places(ports=8080)
    assert {port for _, port in asked(places)} == {8080}
    assert {spot.host for spot in places.spots} == {ACCESS_POINT, "10.9.9.8"}
    assert places.mdns_on == ()


def test_the_variable_replaces_all_default_places(monkeypatch: pytest.MonkeyPatch) -> None:
    remember([camera_at("http://10.9.9.9")])
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32, 10.1.2.3")
    places = find_places()
    assert {host for host, _ in asked(places)} == {"127.0.0.1", "10.1.2.3"}
    assert places.spots == ()
    assert places.mdns_on == ()
    assert not places.remembers


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", " ")
    assert find_places().spots


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/99")
    with pytest.raises(DiscoveryError, match="ESPRESSOSCOPE_NETWORKS"):
        find_places()


def test_mdns_listens_on_the_interfaces_of_given_networks_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_places("127.0.0.1/32", mdns=True).mdns_on == ("127.0.0.1",)
    assert find_places("203.0.113.0/24", mdns=True).mdns_on == ()
    assert find_places(mdns=False).mdns_on == ()
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
    assert find_places(mdns=True).mdns_on == ("127.0.0.1",)


def test_nowhere_to_look() -> None:
    with pytest.raises(DiscoveryError, match="nowhere"):
        find_places([])


def test_too_many_connections() -> None:
    with pytest.raises(DiscoveryError, match="connections"):
        find_places("10.0.0.0/16", "1-1000")


def test_ports_behind_a_control_port_come_later() -> None:
    places = find_places("127.0.0.1")
    first = [target.port for target in places.targets(behind=False)]
    later = [target.port for target in places.targets(behind=True)]
    assert first == [80, *range(8080, 8176, 2)]
    assert later == list(range(8081, 8176, 2))
    assert len(first) + len(later) == places.size
    places = find_places("10.0.0.0/30", [80, 81, 82, 90])
    assert [target.port for target in places.targets(behind=True)] == [81, 81]


def test_addresses_go_from_low_to_high_port_80_first() -> None:
    found = [
        (target.port, int(ipaddress.ip_address(target.host)))
        for target in all_targets(Places(networks("10.0.0.0/24"), (80, 8080)))
    ]
    assert len(found) == 2 * 254
    assert all(earlier < later for earlier, later in pairwise(found))


def paced(targets: Iterable[Target]) -> int:
    return sum(target.paced for target in targets)


def test_few_addresses_are_asked_at_once_and_again() -> None:
    targets = all_targets(Places(networks("10.0.0.0/24", "10.0.1.0/24")))
    assert paced(targets) == 0
    assert all(target.again for target in targets)


def test_wide_networks_are_paced() -> None:
    targets = all_targets(Places(networks("10.0.0.0/22")))
    assert paced(targets) == len(targets) == 1022
    assert not any(target.again for target in targets)


def test_a_small_network_is_not_held_up_by_a_wide_one() -> None:
    targets = all_targets(Places(networks("172.17.0.0/22", "192.168.1.0/24")))
    assert [target.host for target in targets[:2]] == ["192.168.1.1", "192.168.1.2"]
    assert paced(targets[:254]) == 0
    assert paced(targets) == 1022


def test_neighbours_are_asked_first_and_once() -> None:
    places = Places(networks("10.0.0.0/22")).with_neighbours(["10.0.3.7", "10.0.0.9"])
    targets = all_targets(places)
    assert [target.host for target in targets[:3]] == ["10.0.3.7", "10.0.0.9", "10.0.0.1"]
    assert [target.paced for target in targets[:3]] == [False, False, True]
    assert len(targets) == len(set(targets)) == places.size == 1022


def test_neighbours_elsewhere_are_asked_in_the_default_places_only() -> None:
    given = find_places("10.0.0.0/30", [80, 81])
    assert given.with_neighbours(["10.9.9.9"]) == given
    default = find_places(ports=[80, 81]).with_neighbours(["203.0.113.9"])
    assert [(t.host, t.port) for t in all_targets(default) if t.host == "203.0.113.9"] == [
        ("203.0.113.9", 80),
        ("203.0.113.9", 81),
    ]
    assert default.size == find_places(ports=[80, 81]).size + 2 == len(all_targets(default))


def test_only_so_many_neighbours_are_asked_first() -> None:
    many = [f"10.0.{n >> 8}.{n & 255}" for n in range(2000)]
    assert len(find_places().with_neighbours(many).known) == 512


def test_loopback_is_never_paced() -> None:
    assert paced(all_targets(Places(networks("127.1.0.0/20"), (80,)))) == 0


def test_single_addresses_of_a_pair_are_both_asked() -> None:
    assert asked(find_places("10.0.0.0/31")) == {("10.0.0.0", 80), ("10.0.0.1", 80)}


def test_links_are_those_of_this_computer() -> None:
    assert all(isinstance(link, Link) for link in find_places("127.0.0.1").links)
