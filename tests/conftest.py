"""Fixtures and rules for the whole suite: traffic stays here, nothing is left behind, no silent skips."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

# Before anything of ours can be imported: tests look for cameras on this machine only.
os.environ.setdefault("ESPRESSOSCOPE_NETWORKS", "127.0.0.1/32")
# Names of cameras come from a test's own folder.
os.environ.pop("ESPRESSOSCOPE_FLEET", None)
# Programs started by tests print the same here, in a terminal of any size and on a build machine.
for _name in ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "COLUMNS", "LINES"):
    os.environ.pop(_name, None)

# A shell that starts us in the background has Ctrl-C ignored, and nohup the end of the terminal, by all we
# start too; some tests send them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

import hypothesis
import pytest

from support import FIXTURES, REPO, AllowedSkips, Holdings, PrivateNetwork, alone_on_usual_ports, leaked_since

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}
_SKIPS: list[tuple[str, str]] = []

hypothesis.settings.register_profile("default", deadline=None, max_examples=50)
hypothesis.settings.register_profile(
    "ci", deadline=None, max_examples=50, derandomize=True, database=None, print_blob=True
)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(
    "thorough" if os.environ.get("ESPRESSOSCOPE_THOROUGH") else "ci" if CI else "default"
)


def pytest_configure(config: pytest.Config) -> None:
    """Give the run a home of its own: neither read nor change what the user's cameras left in theirs."""
    home = Path(tempfile.mkdtemp(prefix="espressoscope-tests-"))
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"):
        os.environ[name] = str(home / name.lower())
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))


# --- several processes share the work (pytest -n 2)

# Where the usual ports of simulated cameras are taken or searched: one of these tests at a time on a machine.
ON_USUAL_PORTS = {
    "tests/api/test_fleet.py",
    "tests/api/test_moved.py",
    "tests/api/test_names.py",
    "tests/cli/test_cli_demo.py",
    "tests/cli/test_cli_ending.py",
    "tests/cli/test_cli_fleet.py",
    "tests/napari_plugin/test_programs.py",
    "tests/test_docs.py",
    "tests/test_examples.py",
    "tests/timelapse/test_moved.py",
}
# What takes longest, so that no process ends with it while the others have nothing left to do.
BEGUN_FIRST = (
    "tests/api/test_moved.py",
    "tests/faults/test_matrix.py",
    "tests/api/test_soak.py",
    "tests/trials/test_trials.py",
    "tests/discovery/test_private_lan.py",
    "tests/cli/test_cli_watch.py",
    "tests/test_dev.py",
    "tests/timelapse/test_real_time.py",
    "tests/network/test_networks.py",
    "tests/strangers/test_clients.py",
    "tests/soak/test_napari_soak.py",
    "tests/benchmarks/test_benchmarks.py",
    "tests/lab/test_doctor_network.py",
)


def _share(nodeid: str) -> str:
    """Name what is done by one process: a file with its fixtures, and all that needs the usual ports."""
    file = nodeid.partition("::")[0]
    return "usual ports" if file in ON_USUAL_PORTS else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Hand out whole files, the longest first; ``--dist`` with anything but ``load`` does as it says."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _share(nodeid)

    config.option.loadscopereorder = False  # it is the order of `pytest_collection_modifyitems`
    return Files(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    first = [_share(file) for file in BEGUN_FIRST]
    items.sort(key=lambda item: first.index(share) if (share := _share(item.nodeid)) in first else len(first))


@pytest.fixture(autouse=True)
def usual_ports(request: pytest.FixtureRequest, leaves_nothing: None) -> Iterator[None]:
    """Give a test that needs them the usual ports of this machine's simulated cameras to itself."""
    if request.node.nodeid.partition("::")[0] not in ON_USUAL_PORTS:
        yield
        return
    with alone_on_usual_ports():
        yield


# --- nothing is left behind


@pytest.fixture(autouse=True)
def leaves_nothing() -> Iterator[None]:
    """Fail a test that leaves a thread, a child or a socket; fixtures of wider scope may hold some."""
    before = Holdings.now()
    yield
    left = leaked_since(before)
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def session_leaves_nothing() -> Iterator[None]:
    """Fail the run when a fixture of wider scope leaves something."""
    before = Holdings.now()
    yield
    left = leaked_since(before)
    if left:
        pytest.fail("left behind at the end of the run: " + "; ".join(left), pytrace=False)


@pytest.fixture(autouse=True)
def library_path() -> Iterator[None]:
    """Undo what the first import of OpenCV does to programs started later (cv2/__init__.py)."""
    before = os.environ.get("LD_LIBRARY_PATH")
    yield
    if before is None:
        os.environ.pop("LD_LIBRARY_PATH", None)
    else:
        os.environ["LD_LIBRARY_PATH"] = before


# --- what a test may need


@pytest.fixture(scope="session")
def repo() -> Path:
    """Folder of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """Folder of the recorded captures, exchanges and device JPEGs, which lie beside the repository."""
    if not FIXTURES.is_dir():
        pytest.skip("shared fixtures absent: no folder shared/fixtures beside the repository")
    return FIXTURES


@pytest.fixture(scope="session")
def netns() -> PrivateNetwork:
    """Run commands in a network namespace of their own."""
    found = PrivateNetwork.find()
    if isinstance(found, str):
        pytest.skip(found)
    return found


# --- a skip in CI is allowed by name and reason, or fails the run


def _note_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped:
        return
    reason = getattr(report, "wasxfail", None)
    if reason is None:
        longrepr = report.longrepr
        reason = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    _SKIPS.append((report.nodeid, str(reason).removeprefix("Skipped: ")))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note_skip(report)


def _unlisted() -> list[tuple[str, str]]:
    if not CI:
        return []
    allowed = AllowedSkips((REPO / "tests" / "allowed_skips.txt").read_text(encoding="utf-8"))
    return [skip for skip in _SKIPS if not allowed.allows(*skip)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    unlisted = _unlisted()
    if unlisted:
        terminalreporter.section("skips not in tests/allowed_skips.txt", red=True, bold=True)
        for nodeid, reason in unlisted:
            terminalreporter.write_line(f"{nodeid} :: {reason}", red=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.exitstatus == pytest.ExitCode.OK and _unlisted():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
