"""`dev.py` on a repository of its own: a tiny package that needs nothing from any index."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import REPO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "espressoscope"
version = "0"
"""
# The least a build backend must do to make an editable install: a wheel with one .pth file.
BACKEND = """
import pathlib, zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "espressoscope-0-py3-none-any.whl"
    info = "espressoscope-0.dist-info/"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("espressoscope.pth", str(pathlib.Path("src").resolve()))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: espressoscope\\nVersion: 0\\n")
        tags = "Root-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\n" + tags)
        wheel.writestr(info + "RECORD", "")
    return name
def build_wheel(*a, **k): raise NotImplementedError
"""
MAIN = """
import json, os, sys, time
try:
    print(json.dumps({"arguments": sys.argv[1:], "prefix": sys.prefix, "cwd": os.getcwd()}), flush=True)
    if sys.argv[2:] == ["until-ctrl-c"]: time.sleep(60)
except KeyboardInterrupt:
    sys.exit(0)
sys.exit(3)
"""


class Clone:
    """A fresh clone of the tiny package, with the real dev.py in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = folder / ".espressoscope-env"
        package = folder / "src" / "espressoscope"
        package.mkdir(parents=True)
        shutil.copy(REPO / "dev.py", folder)
        (folder / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
        (folder / "backend.py").write_text(BACKEND, encoding="utf-8")
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(MAIN, encoding="utf-8")

    def start(self, *arguments: str, start_new_session: bool = False) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(self.folder / "dev.py"), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder.parent,
            env={**os.environ, "PIP_NO_INDEX": "1"},
            start_new_session=start_new_session,
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err


def needs_ensurepip() -> None:
    # Without it dev.py asks apt or the package index, and tests ask nobody.
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python has no ensurepip")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Make a clone whose environment has been made, by two programs started at the same time."""
    needs_ensurepip()
    clone = Clone(tmp_path_factory.mktemp("made") / "repo")
    both = [clone.start("env"), clone.start("env")]
    told = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("making the environment" in text and "waiting" not in text for text in told) == 1, told
    return clone


@pytest.fixture
def dev(tmp_path: Path) -> Iterator[ModuleType]:
    """Give dev.py as a module whose repository is an empty folder."""
    spec = importlib.util.spec_from_file_location("dev", REPO / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.REPO = tmp_path
    module.LIBRARIES = ()  # what this machine lacks is no matter of these tests
    return module


def test_demo_passes_arguments_exit_code_and_folder_on(made: Clone) -> None:
    code, out, err = made.run("demo", "--seconds", "1")
    assert (code, err) == (3, "")  # nothing was said: nothing had to be made
    told = json.loads(out)
    assert told["arguments"] == ["demo", "--seconds", "1"]
    assert Path(told["prefix"]) == made.env
    assert Path(told["cwd"]) == made.folder.parent


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal here")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_demo_ends_when_told(made: Clone, number: signal.Signals, code: int) -> None:
    with made.start("demo", "until-ctrl-c", start_new_session=True) as process:
        assert process.stdout is not None
        assert "until-ctrl-c" in process.stdout.readline()
        if number == signal.SIGINT:
            os.killpg(process.pid, number)  # as a terminal does: to all in front
        else:
            process.send_signal(number)
        _, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_changed_project_is_installed_again(made: Clone) -> None:
    (made.folder / "pyproject.toml").write_text(PYPROJECT + "description = 'changed'\n", encoding="utf-8")
    code, _, err = made.run("env")
    assert code == 0
    assert "up to date" in err
    assert made.run("env") == (0, "", "")


@pytest.mark.parametrize("broken", ["package", "half-made"])
def test_broken_environment_is_repaired(made: Clone, broken: str) -> None:
    if broken == "package":
        next(made.env.rglob("espressoscope.pth")).unlink()
    else:
        (made.env / "stamp.json").write_text("{", encoding="utf-8")
        (made.env / ("Scripts/python.exe" if os.name == "nt" else "bin/python")).unlink()
    code, _, err = made.run("env")
    assert code == 0, err
    assert "environment" in err
    assert made.run("env") == (0, "", "")


def test_moved_clone_gets_its_own_environment(made: Clone, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(made.folder, moved, symlinks=True)
    done = subprocess.run(
        [sys.executable, str(moved / "dev.py"), "demo"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PIP_NO_INDEX": "1"},
    )
    assert done.returncode == 3, done.stderr
    assert Path(json.loads(done.stdout)["prefix"]) == moved / ".espressoscope-env"


def test_unreachable_index_is_said_plainly(tmp_path: Path) -> None:
    needs_ensurepip()
    clone = Clone(tmp_path / "repo")
    text = PYPROJECT.replace("requires = []", 'requires = ["a-builder-nobody-has"]')
    (clone.folder / "pyproject.toml").write_text(text, encoding="utf-8")
    code, out, err = clone.run("env")
    assert (code, out) == (1, "")
    assert "pip could not install" in err
    assert "a-builder-nobody-has" in err
    assert "on the network?" in err
    assert "Traceback" not in err


def test_wrong_use() -> None:
    for arguments, code in ([], 2), (["frobnicate"], 2), (["--help"], 0):
        done = subprocess.run(
            [sys.executable, str(REPO / "dev.py"), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == code
        assert "python3 dev.py demo" in done.stdout + done.stderr


def test_old_python_says_what_is_needed(tmp_path: Path) -> None:
    ast.parse((REPO / "dev.py").read_text(encoding="utf-8"), feature_version=(3, 7))
    code = (
        f"import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['dev.py', 'test']\n"
        f"runpy.run_path({str(REPO / 'dev.py')!r}, run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed, this is 3.9.2" in done.stderr


def fake_apt(folder: Path, script: str) -> str:
    """Make a folder whose apt-get writes down what it was asked."""
    (folder / "apt-get").write_text(f'#!/bin/sh\necho "$@" >> {folder}/asked\n{script}\n', encoding="utf-8")
    (folder / "apt-get").chmod(0o755)
    return str(folder)


posix = pytest.mark.skipif(os.name == "nt", reason="apt is Debian's")


@posix
def test_missing_programs_are_installed_together(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", fake_apt(tmp_path, "exit 0") + os.pathsep + "/usr/bin:/bin")
    dev.PROGRAMS = ((("no-such-program",), "package-a"), (("sh",), "package-b"), (("nor-this",), "package-c"))
    dev.privilege = lambda: []
    dev.programs()
    asked = (tmp_path / "asked").read_text(encoding="utf-8").splitlines()
    assert [words.split()[-1] for words in asked] == ["update", "package-c"]
    assert "package-a package-c" in asked[1]
    assert "package-b" not in asked[1]
    assert "skipped" not in capsys.readouterr().err


@posix
def test_one_missing_package_does_not_cost_the_others(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = 'case "$*" in *package-a*) echo "E: Unable to locate package package-a"; exit 100;; esac'
    monkeypatch.setenv("PATH", fake_apt(tmp_path, script) + os.pathsep + "/usr/bin:/bin")
    dev.PROGRAMS = ((("no-such-program",), "package-a"), (("nor-this",), "package-c"))
    dev.privilege = lambda: []
    dev.programs()
    said = capsys.readouterr().err
    assert "tests that need package-a will be skipped" in said
    assert "Unable to locate package package-a" in said


@posix
def test_without_the_right_to_install_they_are_named(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", fake_apt(tmp_path, "exit 1"))
    dev.PROGRAMS = ((("no-such-program",), "package-a"),)
    dev.privilege = lambda: None
    dev.programs()
    assert "sudo apt-get install package-a" in capsys.readouterr().err
    assert not (tmp_path / "asked").exists()


@posix
def test_apt_held_by_another_program_ends_in_words(
    dev: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'echo "E: Could not get lock /var/lib/dpkg/lock-frontend"; exit 100'
    monkeypatch.setenv("PATH", fake_apt(tmp_path, script) + os.pathsep + "/usr/bin:/bin")
    dev.APT_LOCK_WAIT_S = 0.0
    assert "another program has held apt" in dev.apt_install(["package-a"], [])


def test_what_tests_start_keeps_what_it_compiled(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH"}.isdisjoint(dev.child_env())


def test_checks_run_at_once_and_all_of_them(dev: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    def check(code: str) -> list[str]:
        return [sys.executable, "-c", f"import sys; {code}"]

    good, bad = check("print('all is well')"), check("print('line 7 is wrong'); sys.exit(3)")
    assert dev.at_once([good, good, good]) == 0
    assert capfd.readouterr().out == ""
    assert dev.at_once([bad, good, bad]) == 1
    out, err = capfd.readouterr()
    assert out == "line 7 is wrong\n" * 2
    assert err.count("dev.py: import sys; print('all is well')") == 1
    assert err.splitlines()[-1].startswith("dev.py: failed: import sys; print('line 7 is wrong')")


@posix
def test_a_check_that_does_not_end_is_ended(dev: ModuleType, tmp_path: Path) -> None:
    dev.RUN_S = 3.0  # it has begun by then
    code = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(60)"
    assert dev.at_once([[sys.executable, "-c", code]]) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text(encoding="utf-8")), 0)
