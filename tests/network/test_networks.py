"""Bad networks, short: nothing false is told, and it is live again soon after. `python tests/network` is the
long form, whose figures are in docs/networks.md."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from network.promises import MOST_MB
from network.run import play_all
from support import REPO

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
    if shutil.which("ip") is None:
        pytest.skip("virtual networks need the program ip (Debian: iproute2)")
    card = "import sys; sys.path[:0] = sys.argv[1:]; from network.lan import new_card; new_card('near')"
    trial = netns.run([sys.executable, "-c", card, str(REPO / "tests")])
    if trial.returncode:
        why = trial.stderr.strip().rpartition("\n")[2]
        assert "[Errno" in why, trial.stderr  # anything but the system's refusal is a fault of the test
        pytest.skip(f"no virtual network cards can be made here ({why})")
    # Beside other tests, a machine's speed is anybody's guess: the long form is what judges speed.
    return play_all(netns, SHORT, at_once=5, slack=4.0)


@pytest.mark.parametrize("name", [name for name, _ in SHORT])
def test_network(reports: dict[str, dict[str, Any]], name: str) -> None:
    report = reports[name]
    assert not report["wrong"], "\n".join(report["wrong"]) + f"\n{report}"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_the_program_itself() -> None:
    """Not what the process that started it held: where the suite has run for a while that is much."""
    measure = "import sys; sys.path[:0] = sys.argv[1:]; from network.measure import peak_mb; print(peak_mb())"
    starter = (
        "import subprocess, sys\n"
        "held = bytearray(b'x') * (200 << 20)\n"
        "sys.exit(subprocess.run([sys.executable, '-c', sys.argv[1], sys.argv[2]], timeout=60).returncode)"
    )
    command = [sys.executable, "-c", starter, measure, str(REPO / "tests")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
    assert 5 < float(done.stdout) < MOST_MB
