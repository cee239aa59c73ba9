"""Bad networks, short: nothing false is told, and it is live again soon after. `python tests/network` is the
long form, whose figures are in docs/networks.md."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from network.run import play_all

if TYPE_CHECKING:
    from support import PrivateNetwork

# Name, and seconds that it is looked at. Those that mostly wait come first. The first has a link that is down
# for ten seconds in it.
SHORT = (
    ("grabbed", 0.5),
    ("moved-cws", 0.5),
    ("stolen", 0.5),
    ("duplicate", 2.0),
    ("crowd", 5.0),
    ("loss30", 7.0),
    ("radio", 5.0),
)


pytestmark = pytest.mark.timeout(400)  # all are run for the first, on a machine that may be busy


@pytest.fixture(scope="module")
def reports(netns: PrivateNetwork) -> dict[str, dict[str, Any]]:
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("virtual network cards need /dev/net/tun")
    return play_all(netns, SHORT, at_once=5)


@pytest.mark.parametrize("name", [name for name, _ in SHORT])
def test_network(reports: dict[str, dict[str, Any]], name: str) -> None:
    report = reports[name]
    assert not report["wrong"], "\n".join(report["wrong"]) + f"\n{report}"
