"""The suite's own rules: what is left behind is noticed, skips are allowed by name and reason."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from support import (
    REPO,
    AllowedSkips,
    Holdings,
    PrivateNetwork,
    alone_on_usual_ports,
    leaked_since,
    wait_until,
)

if TYPE_CHECKING:
    from pathlib import Path


def test_wait_until_gives_what_came() -> None:
    values = iter([0, "", 7])
    assert wait_until(lambda: next(values)) == 7


def test_wait_until_says_what_did_not_come() -> None:
    with pytest.raises(AssertionError, match="for the frame, last value 0"):
        wait_until(lambda: 0, 0.01, what="the frame")


def test_a_thread_left_behind_is_noticed() -> None:
    before, done = Holdings.now(), threading.Event()
    thread = threading.Thread(target=done.wait, name="espressoscope-loop")
    thread.start()
    assert leaked_since(before, 0.0) == ["thread 'espressoscope-loop'"]
    done.set()
    thread.join()
    assert leaked_since(before) == []


@pytest.mark.skipif(sys.platform != "linux", reason="sockets and children are counted where /proc tells")
def test_a_socket_and_a_child_left_behind_are_noticed() -> None:
    before = Holdings.now()
    with socket.socket(), subprocess.Popen(["sleep", "60"]) as child:
        left = leaked_since(before, 0.0)
        child.kill()
    assert len(left) == 2
    assert f"child process {child.pid}" in left[0]
    assert left[1].startswith("open socket")
    assert leaked_since(before) == []


def test_a_private_network_has_no_route(netns: PrivateNetwork) -> None:
    done = netns.python("import socket; print(socket.socket().connect_ex(('192.168.4.1', 80)))")
    assert done.stdout.split() == [str(errno.ENETUNREACH)], done.stderr


def test_a_private_network_has_what_was_set_up(netns: PrivateNetwork) -> None:
    code = "import socket; s = socket.socket(); s.bind(('192.168.4.1', 0)); s.close(); print('bound')"
    done = netns.python(code, setup=["ip link set lo up", "ip addr add 192.168.4.1/24 dev lo"])
    assert done.stdout.split() == ["bound"], done.stderr


def test_skips_are_allowed_by_name_and_reason() -> None:
    rules = AllowedSkips("# why\n\ntests/wire/*[a-b] :: no fixtures*\n")
    assert rules.allows("tests/wire/test_x.py::test_y[a-b]", "no fixtures here")
    assert not rules.allows("tests/wire/test_x.py::test_y[a-b]", "another reason")
    assert not rules.allows("tests/sim/test_x.py::test_y[a-b]", "no fixtures here")
    assert not rules.allows("tests/wire/test_x.py::test_y[a]", "no fixtures here")


def test_a_rule_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="line 2"):
        AllowedSkips("# why\ntests/wire/test_x.py::test_y\n")


@pytest.mark.parametrize(
    ("reason", "ci", "shared", "code"),
    [
        ("because", "true", (), 1),
        ("because", "true", ("-n", "2"), 1),
        ("because", "", (), 0),
        ("shared fixtures absent: no folder", "true", (), 0),
    ],
)
def test_a_skip_that_is_not_listed_fails_a_ci_run(
    tmp_path: Path, reason: str, ci: str, shared: tuple[str, ...], code: int
) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    source = f"import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip({reason!r})\n"
    (tmp_path / "test_it.py").write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-p", "xdist", *shared],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
        # Importing the plugins of all that is installed would take longer than the rest.
        env={
            **os.environ,
            "CI": ci,
            "PYTHONPATH": str(REPO / "tests"),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("test_it.py::test_b :: because" in done.stdout) == bool(code)


def test_one_test_at_a_time_has_the_usual_ports() -> None:
    def ask(timeout_s: float) -> subprocess.CompletedProcess[str]:
        code = f"import support\nwith support.alone_on_usual_ports({timeout_s}): print('mine')"
        return subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPO / "tests")},
        )

    with alone_on_usual_ports():
        refused = ask(0.1)
    assert "for other tests to be done with the usual ports" in refused.stderr
    assert (refused.returncode, refused.stdout) == (1, "")
    assert ask(100.0).stdout == "mine\n"


def test_the_list_of_allowed_skips_can_be_read() -> None:
    AllowedSkips((REPO / "tests" / "allowed_skips.txt").read_text(encoding="utf-8"))
