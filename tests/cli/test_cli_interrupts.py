"""A Ctrl-C that comes exactly where Python throws exceptions away, or a lock is held: it ends the command."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cli_support import REPO

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

STRIKE = """
import signal, sys, threading, time
number = getattr(signal, sys.argv[1])
class Lost:
    def __del__(self):
        signal.raise_signal(number)
"""
COMMAND = """
from espressoscope.cli.early import be_ready_to_end
be_ready_to_end()
import typer
from espressoscope.cli import ending
from espressoscope.cli.common import CommandRun
"""


def _run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", STRIKE + code, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=REPO / "src",
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("ignored", [False, True], ids=["", "switched off by a shell"])
def test_while_it_is_imported(name: str, code: int, ignored: bool) -> None:
    """The import system's own weak references are where a KeyboardInterrupt was lost."""
    done = _run(
        """
if sys.argv[2] == "True":
    signal.signal(number, signal.SIG_IGN)
from espressoscope.cli import main
calls = 0
def watch(frame, event, argument):
    global calls
    if event == "call" and frame.f_code.co_name == "cb" and "importlib" in frame.f_code.co_filename:
        calls += 1
        if calls == 60:
            sys.setprofile(None)
            signal.raise_signal(number)
sys.setprofile(watch)
main(["simulate", "--port", "0", "--seconds", "20"])
""",
        name,
        str(ignored),
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


def test_where_an_exception_is_thrown_away_and_not_in_tidying_up() -> None:
    done = _run(
        COMMAND
        + """
try:
    with CommandRun(False, False):
        try:
            Lost()  # its __del__ is struck, and nothing comes out of it
            time.sleep(50)
            print("nobody was interrupted")
        finally:
            Lost()  # within three seconds: only noted
            try:
                raise ValueError
            except ValueError:
                time.sleep(4 * ending._AGAIN_S)
            print("tidied up")
except typer.Exit as end:
    print(end.exit_code)
""",
        "SIGINT",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "tidied up\n130\n", "Stopped.\n")


def test_who_has_taken_notice_is_not_interrupted_again() -> None:
    done = _run(
        COMMAND
        + """
try:
    with CommandRun(False, False, until_stopped=True) as run:
        Lost()
        while not run.ending.asked:
            pass
        time.sleep(4 * ending._AGAIN_S)
        print("ended in order")
except typer.Exit as end:
    print(end.exit_code)
""",
        "SIGTERM",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended in order\n", "")


def test_the_third_one_ends_what_will_not_end() -> None:
    done = _run(
        COMMAND
        + """
ending._PATIENCE_S = 0.05
def strike():
    for _ in range(3):
        time.sleep(0.2)
        signal.pthread_kill(threading.main_thread().ident, number)
threading.Thread(target=strike, daemon=True).start()
with CommandRun(False, False) as run:
    while True:
        try:
            time.sleep(20)
        except KeyboardInterrupt:
            run.ending.ask()
""",
        "SIGINT",
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_while_the_command_waits_for_its_end_at_each_call_of_that_wait() -> None:
    """A handler that takes a lock waits for ever where its own thread holds it already."""
    done = _run(
        COMMAND
        + """
def struck_at(call, ending):
    calls = 0
    def watch(frame, event, argument):
        nonlocal calls
        calls += argument is not sys.setprofile
        if calls == call:
            sys.setprofile(None)
            signal.raise_signal(number)
    sys.setprofile(watch)
    try:
        ending.wait(0.01)
    except KeyboardInterrupt:
        return True
    finally:
        sys.setprofile(None)
    return False
times = 0
while True:
    this = ending.Ending()
    this.begin()
    this.armed = True
    struck = struck_at(times + 1, this)
    this.finish()
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    if not struck:
        break
    assert this.asked and this.wait(20)
    times += 1
assert times > 10, times
print("ended")
""",
        "SIGINT",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
