"""That the quick start of commands, by which most tests here run them, is no other start."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_forks import Forked
from cli_support import Cli

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_forks import Forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="commands are forked on Linux only")


@pytest.fixture
def quick(tmp_path: Path, forks: Forks | None) -> Iterator[Cli]:
    if forks is None:
        pytest.skip("the long way was asked for")
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:  # of a shell that started all this beside it; see Forks.start
        signal.signal(signal.SIGINT, signal.default_int_handler)
    runner = Cli(tmp_path, forks)
    yield runner
    runner.close()
    signal.signal(signal.SIGINT, before)


@pytest.mark.fresh
@pytest.mark.parametrize(
    "words", ["--version", "", "status", "status 127.0.0.1:1", "fleet list --file none.toml"]
)
def test_both_ways_say_and_give_the_same(cli: Cli, quick: Cli, forks: Forks, words: str) -> None:
    forked = quick.start(*words.split())
    assert isinstance(forked.process, Forked), forks.refused
    fresh = cli.start(*words.split())
    assert not isinstance(fresh.process, Forked)
    assert forked.finish()[:3] == fresh.finish()[:3]


def test_it_is_a_process_of_its_own_with_its_own_variables_and_folder(quick: Cli) -> None:
    elsewhere = quick.folder / "elsewhere"
    running = quick.start("simulate", "--port", "0", "--json", env={"XDG_CONFIG_HOME": str(elsewhere)})
    running.lines(1)
    pid = running.process.pid
    assert pid in running.descendants()
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").resolve() == quick.folder.resolve()
    theirs = os.stat(f"/proc/{pid}/fd/1")
    assert theirs.st_nlink == 0, "its output is a file without a name"
    running.send(signal.SIGINT)
    assert (running.finish(10).code, running.process.poll()) == (0, 0)
    listed = quick.run("fleet", "list", env={"XDG_CONFIG_HOME": str(elsewhere)})
    assert str(elsewhere) in listed.out + listed.err


@pytest.mark.parametrize("variable", ["PYTHONIOENCODING", "LC_ALL", "PYTHONPATH", "TZ"])
def test_what_an_interpreter_looks_at_when_it_starts_has_it_start(quick: Cli, variable: str) -> None:
    running = quick.start(
        "--version", env={variable: {"TZ": "Asia/Tokyo", "LC_ALL": "C"}.get(variable, "ascii")}
    )
    assert not isinstance(running.process, Forked)
    running.process.kill()
    running.process.wait()


def test_one_that_is_killed_says_by_what(quick: Cli) -> None:
    running = quick.start("simulate", "--port", "0", "--json")
    running.lines(1)
    running.process.kill()
    assert running.process.wait(10) == -signal.SIGKILL
    assert not running.descendants()
