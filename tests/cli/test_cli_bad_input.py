"""Hosts that are no cameras, cameras that fail, full disks: one message, what to try, no traceback."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cli_support import REPO, answering, http, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_support import Cli
    from espressoscope.sim import SimulatedCamera
    from support import PrivateNetwork

HTML = b"<!doctype html><html><body>Router login</body></html>"
STATUS = (
    b'{"lamp":0,"framesize":5,"quality":12,"cam_name":"%s","code_ver":"x","rotate":"0",'
    b'"stream_url":"http://10.1.1.1:81/","anglerfishSlider":1}'
)
ASKING = [["status", "{}"], ["set", "{}", "quality=12"], ["snap", "{}"], ["stream", "{}"]]


def told(message: str) -> None:
    """A message says what happened, and in a second sentence what to try."""
    assert message.count("Error: ") == 1
    assert len(message.strip().splitlines()) >= 2, message


@pytest.mark.parametrize("command", ASKING, ids=lambda command: command[0])
class TestEveryCommandThatAsksACamera:
    def fails(self, cli: Cli, command: list[str], where: str) -> str:
        message = cli.fails(1, *(word.format(where) for word in command))
        told(message)
        return message

    def test_a_name_without_address(self, cli: Cli, command: list[str]) -> None:
        assert "nosuchcamera.invalid" in self.fails(cli, command, "nosuchcamera.invalid")

    def test_a_port_nobody_listens_on(self, cli: Cli, command: list[str]) -> None:
        assert "nothing listens" in self.fails(cli, command, "127.0.0.1:1")

    def test_a_plain_web_server(self, cli: Cli, command: list[str]) -> None:
        with server(answering(http(HTML, status="404 Not Found"))) as where:
            self.fails(cli, command, where)

    def test_html_where_the_status_should_be(self, cli: Cli, command: list[str]) -> None:
        with server(answering(http(HTML))) as where:
            self.fails(cli, command, where)

    def test_a_length_of_two_gigabytes(self, cli: Cli, command: list[str]) -> None:
        with server(answering(http(b"{", "application/json", length=2_000_000_000), b" " * 65536)) as where:
            self.fails(cli, command, where)

    def test_a_header_line_without_end(self, cli: Cli, command: list[str]) -> None:
        def flood(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
            for _ in range(2000):
                connection.sendall(b"x" * 65536)

        with server(flood) as where:
            self.fails(cli, command, where)

    def test_bytes_that_are_not_http(self, cli: Cli, command: list[str]) -> None:
        with server(answering(b"SSH-2.0-OpenSSH_9.2p1\r\n", b"\x1b[2J\x00\xff" * 40)) as where:
            self.fails(cli, command, where)


def test_a_silent_server(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        told(cli.fails(1, "status", f"127.0.0.1:{silent.getsockname()[1]}"))


def test_no_way_to_the_network(netns: PrivateNetwork, tmp_path: Path) -> None:
    """A bare network namespace has no route at all: ENETUNREACH."""
    for command in (["status", "10.1.2.3"], ["snap", "10.1.2.3"], ["discover", "--network", "10.1.2.0/30"]):
        done = netns.run(
            [sys.executable, "-m", "espressoscope", *command],
            env={"PYTHONPATH": str(REPO / "src")},
            cwd=tmp_path,
        )
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        told(done.stderr)


def test_a_password_is_never_shown(cli: Cli, address: str) -> None:
    for where in (address, "127.0.0.1:1", "127.0.0.1:99999", "nosuchcamera.invalid"):
        result = cli.run("stream", f"http://me:sEcReT@{where}", "--frames", "2", "--verbose")
        assert "sEcReT" not in result.out + result.err


def test_several_hosts_that_fail_are_each_told_once(cli: Cli) -> None:
    result = cli.run("snap", "127.0.0.1:1", "nosuchcamera.invalid")
    assert result.code == 1
    assert result.err.count("Error: ") == 2


def test_a_camera_that_dies_within_a_frame(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    running = cli.start("stream", address, "--json", "-o", "frames")
    running.lines(3)
    with matchbox.fault("vanish"):
        result = running.finish(40)
    assert result.code == 1
    told(result.err.partition("\n")[2].partition("frames in")[2])
    files = sorted((cli.folder / "frames").iterdir())
    assert len(files) == len(result.objects)
    assert {file.read_bytes()[-2:] for file in files} == {b"\xff\xd9"}


def test_a_picture_cut_short(cli: Cli, tmp_path: Path) -> None:
    def handle(connection: socket.socket) -> None:
        request = connection.recv(65536)
        if b"/status" in request:
            connection.sendall(http(STATUS % b"Short", "application/json"))
        else:
            connection.sendall(http(b"\xff\xd8\xff\xe0", "image/jpeg", length=9000))

    with server(handle) as where:
        told(cli.fails(1, "snap", where, "-o", "short.jpg"))
    assert not list(tmp_path.iterdir())


# --- names from the network

NASTY = b"\\u001b[2J\\u001b]0;owned\\u0007../../etc/[red]pass[/red]wd\\u202e\\u0000"


@pytest.fixture
def nasty(matchbox: SimulatedCamera) -> Iterator[str]:
    """A camera whose name is an attack; its pictures are real."""
    import urllib.request

    with urllib.request.urlopen(f"{matchbox.url}/capture", timeout=10) as answer:
        jpeg = answer.read()
    part = b"\r\n--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)

    def stream(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=frame\r\n\r\n"
        )
        for _ in range(40):
            connection.sendall(part + jpeg)

    with server(stream) as stream_at:
        body = STATUS % NASTY
        body = body.replace(b"10.1.1.1:81", stream_at.encode())

        def handle(connection: socket.socket) -> None:
            request = connection.recv(65536)
            if b"/status" in request:
                connection.sendall(http(body, "application/json"))
            elif b"/capture" in request:
                connection.sendall(http(jpeg, "image/jpeg"))
            else:
                connection.sendall(http(b""))

        with server(handle) as where:
            yield where


@pytest.mark.parametrize("terminal", [False, True], ids=["pipe", "colours"])
def test_a_name_that_is_an_attack(cli: Cli, nasty: str, tmp_path: Path, terminal: bool) -> None:
    env = {"FORCE_COLOR": "1"} if terminal else {}
    inside = tmp_path / "a" / "b" / "c"
    cli.folder = inside
    inside.mkdir(parents=True)
    port = nasty.rpartition(":")[2]
    for command in (
        ["discover", "--network", "127.0.0.1", "--port", port],
        ["status", nasty],
        ["snap", nasty],
        ["stream", nasty, "--frames", "3", "-o", "frames"],
        ["set", nasty, "quality=12"],
    ):
        result = cli.run(*command, env=env)
        assert result.code == 0, result
        text = result.out + result.err
        assert "\x1b[2J" not in text
        assert "\x1b]" not in text
        assert not any(c in text for c in "\x07\x00\u202e")
        if not terminal:
            assert "\x1b" not in text
    written = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) == 4
    assert all(path.parts[:3] == ("a", "b", "c") for path in written)
    assert all(
        path.name.isascii() and "/" not in path.name and not path.name.startswith(".") for path in written
    )


# --- disks


def small_disk(tmp_path: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a shell script that has a disk of 64 KB at $DISK, in a mount namespace of its own."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("small disks are made with unshare, on Linux")
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=64k none '{disk}' || exit 99"
    for prefix in (["unshare", "--mount"], ["unshare", "--map-root-user", "--mount"]):
        done = subprocess.run(
            [*prefix, "sh", "-c", f"{mount}\nDISK='{disk}'\n{script}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPO / "src")},
        )
        if done.returncode != 99 and "unshare failed" not in done.stderr:
            return done
    pytest.skip(f"no right to mount a small disk ({done.stderr.strip()})")


def test_a_disk_that_fills_up(address: str, matchbox: SimulatedCamera, tmp_path: Path) -> None:
    script = f"{sys.executable} -m espressoscope stream {address} --json -o $DISK/frames\ncode=$?\n"
    script += "echo listing; cd $DISK/frames; for file in $(ls -A); do sha256sum $file; done; exit $code"
    done = small_disk(tmp_path, script)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Error: ") == 1
    assert os.strerror(errno.ENOSPC) in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr
    lines, _, listing = done.stdout.partition("listing\n")
    names = [line.split()[1] for line in listing.splitlines()]
    assert names
    assert all(name.startswith("Matchboxscope_") for name in names), "a half file was left"
    assert len(names) == lines.count("\n")
    for line in lines.splitlines():
        assert line.partition('"sha256": "')[2][:64] in listing


def test_a_full_disk_for_one_picture(address: str, tmp_path: Path) -> None:
    script = f"head -c 64000 /dev/zero > $DISK/full\n{sys.executable} -m espressoscope snap {address} "
    done = small_disk(tmp_path, script + "-o $DISK/one.jpg\ncode=$?; ls -A $DISK; exit $code")
    assert done.returncode == 1
    assert done.stdout.split() == ["full"]
    assert done.stderr.count("Error: ") == 1


def test_a_device_that_is_full(cli: Cli, address: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    message = cli.fails(1, "snap", address, "-o", "/dev/full")
    assert "/dev/full" in message
    assert "make room" in message


@pytest.mark.parametrize(
    "command", [["snap", "{}"], ["stream", "{}", "--frames", "2"]], ids=["snap", "stream"]
)
class TestFolders:
    def test_one_below_a_file(self, cli: Cli, address: str, tmp_path: Path, command: list[str]) -> None:
        (tmp_path / "file").touch()
        told(cli.fails(1, *(word.format(address) for word in command), "-o", "file/below"))

    def test_one_that_may_not_be_written(
        self, cli: Cli, address: str, tmp_path: Path, command: list[str]
    ) -> None:
        sealed = tmp_path / "sealed"
        sealed.mkdir()
        sealed.chmod(0o555)
        if os.access(sealed, os.W_OK):
            sealed = Path("/proc/self")  # root may write anywhere but there
        told(cli.fails(1, *(word.format(address) for word in command), "-o", f"{sealed}/"))
