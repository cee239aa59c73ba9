"""The doctor names the true cause: each cause that a simulated camera or a small server can produce."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import pytest

import espressoscope as es
from cli_support import answering, http, server
from doctor_support import (
    closed_port,
    codes,
    control_of,
    deaf_port,
    findable,
    page,
    problems,
    serving,
)
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_S = 22.0
Staged = tuple[str, SimulatedCamera | None]
Stage = Callable[[contextlib.ExitStack], Staged]


class Case(NamedTuple):
    """A camera, or what stands for one, and what must be found of it."""

    stage: Stage
    wrong: set[str]
    told: AbstractSet[str] = frozenset()
    not_told: AbstractSet[str] = frozenset()


def sim(settings: dict[str, int] | None = None, **options: Any) -> Stage:
    """A simulated camera, perhaps with settings made after its start."""

    def stage(stack: contextlib.ExitStack) -> Staged:
        usual = {"framesize": "VGA", "fps": 10.0, "quality": 12, "prerender": True, "side_delays": False}
        camera = stack.enter_context(SimulatedCamera(**{**usual, **options}))
        for name, value in (settings or {}).items():
            camera.sensor.set(name, value)
        return camera.url, camera

    return stage


def small_buffer(framesize: str) -> Stage:
    def stage(stack: contextlib.ExitStack) -> Staged:
        url, camera = sim(framesize=framesize, prerender=False)(stack)
        assert camera is not None
        assert camera._board is not None
        camera._board.device.frame_room = 100
        return url, camera

    return stage


def held(*servers: int, release_s: float = 0.0) -> Stage:
    """One whose servers are kept busy, perhaps for a while only."""

    def stage(stack: contextlib.ExitStack) -> Staged:
        url, camera = sim()(stack)
        assert camera is not None
        for number in servers:
            hold(camera, number, True)
            if release_s:
                timer = threading.Timer(release_s, hold, [camera, number, False])
                stack.callback(timer.join)
                timer.start()
        return url, camera

    return stage


def hold(camera: SimulatedCamera, server: int, held: bool) -> None:
    board, loop = camera._board, camera._loop
    assert board is not None
    assert loop is not None
    loop.call(lambda: board.servers[server].hold(held))


def used_up(stack: contextlib.ExitStack) -> Staged:
    url, camera = sim()(stack)
    assert camera is not None
    for _ in range(7):
        stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port)))
    board = camera._board
    assert board is not None
    wait_until(lambda: len(board.servers[0].sessions) == 7, what="seven connections")  # type: ignore[attr-defined]
    return url, None


def watched(stack: contextlib.ExitStack) -> Staged:
    url, _ = sim()(stack)
    viewer = stack.enter_context(es.Camera(url))
    viewer.latest()
    return url, None


def answers(*data: bytes, hold_s: float = 0.0) -> Stage:
    return lambda stack: (stack.enter_context(server(answering(*data, hold_s=hold_s))), None)


def serves(pages: dict[str, bytes]) -> Stage:
    return lambda stack: (stack.enter_context(server(serving(pages))), None)


def no_stream(port: int) -> Stage:
    return lambda stack: (stack.enter_context(control_of(port)), None)


def deaf_stream(stack: contextlib.ExitStack) -> Staged:
    return stack.enter_context(control_of(stack.enter_context(deaf_port()))), None


def stream_answers(*data: bytes, hold_s: float = 0.0) -> Stage:
    def stage(stack: contextlib.ExitStack) -> Staged:
        stream = stack.enter_context(server(answering(*data, hold_s=hold_s)))
        return stack.enter_context(control_of(int(stream.rpartition(":")[2]))), None

    return stage


def bare(firmware: str) -> Stage:
    def stage(stack: contextlib.ExitStack) -> Staged:
        _, camera = sim(firmware=firmware)(stack)
        assert camera is not None
        return camera.stream_url, camera

    return stage


# Who holds a connection is told by Linux only.
HELD = {"held-here"} if sys.platform == "linux" else set()
CASES = {
    "healthy": Case(sim(), set(), {"camera", "radio", "pictures", "let-go"}),
    "easytarget": Case(sim(firmware="easytarget"), set(), {"camera", "radio", "pictures"}),
    "camerawebserver": Case(sim(firmware="camerawebserver", fps=20.0), set(), {"camera", "pictures"}),
    "tasmota": Case(sim(firmware="tasmota"), set(), {"camera", "radio", "not-watched"}, {"pictures"}),
    "esphome": Case(sim(firmware="esphome"), set(), {"bare-stream", "pictures"}),
    "stream by URL": Case(bare("camerawebserver"), set(), {"bare-stream", "pictures"}, {"camera"}),
    "stream at its root": Case(bare("matchboxscope"), set(), {"bare-stream", "pictures"}, {"camera"}),
    # the board
    "far away": Case(sim(rssi=-70), set(), {"radio-fair"}),
    "weak radio": Case(sim(rssi=-81), {"radio-weak"}),
    # the stream
    "drips": Case(sim(faults=["slow"]), {"trickles"}),
    "stalled": Case(sim(faults=["stall"]), {"stalls"}),
    "stalls": Case(sim(faults=["stall:after=1"]), {"stalls"}),
    "breaks": Case(sim(faults=["cut:every=3"]), {"breaks"}),
    "junk": Case(sim(faults=["junk"]), set(), {"out-of-step"}),
    "wrong lengths": Case(sim(faults=["wrong-length"]), set(), {"out-of-step"}),
    "no lengths": Case(sim(faults=["no-length"]), set(), {"pictures"}, {"out-of-step"}),
    "stale bytes": Case(sim(faults=["stale-bytes"]), set(), {"pictures"}, {"damaged", "out-of-step"}),
    "two in one": Case(sim(faults=["two-jpegs"]), set(), {"pictures"}),
    "scan damaged": Case(sim(faults=["corrupt"]), {"damaged"}),
    "no end": Case(sim(faults=["corrupt:kind=no-eoi"]), {"damaged"}),
    "no beginning": Case(sim(faults=["corrupt:kind=no-soi"]), {"damaged"}),
    "frozen": Case(sim(faults=["frozen"]), {"frozen"}),
    "slow": Case(sim(fps=1.5), {"slow"}),
    "slow by setting": Case(sim({"min_frame_time": 400}), set(), {"slow-by-setting"}),
    "stops by setting": Case(sim({"min_frame_time": 2500}), {"stops-by-setting"}),
    "size too big": Case(small_buffer("XGA"), {"framesize-too-big"}, not_told={"no-picture"}),
    "no picture": Case(small_buffer("VGA"), {"no-picture"}),
    "taken": Case(sim(faults=["silent-second"]), {"busy"}, not_told={"held-here", "let-go"}),
    "taken from here": Case(watched, {"busy"}, HELD, {"let-go"}),
    "taken, no dump": Case(sim(firmware="camerawebserver", faults=["silent-second"]), {"busy"}),
    "stream refused": Case(no_stream(closed_port()), {"stream-refused"}),
    "stream behind a firewall": Case(deaf_stream, {"stream-blocked"}),
    "no stream there": Case(stream_answers(http(b"", status="404 Not Found")), {"stream-missing"}),
    "sensor hangs": Case(stream_answers(http(b"", status="500 Server Error")), {"stream-missing"}),
    "all streams taken": Case(stream_answers(http(b"No free task", status="500 No free task")), {"busy"}),
    "stream wants password": Case(
        stream_answers(http(b"", status="401 Unauthorized")), {"stream-wants-password"}
    ),
    "stream closes": Case(stream_answers(b""), {"stream-missing"}),
    "stream is no HTTP": Case(stream_answers(b"\x00\x01nonsense\r\n\r\n"), {"stream-missing"}),
    "never a byte": Case(stream_answers(hold_s=30), {"busy"}),
    # reaching it
    "off": Case(sim(faults=["vanish"]), {"silent"}),
    "refuses": Case(sim(faults=["refuse"]), {"refused"}),
    "seven sockets": Case(used_up, {"sockets-used-up"}, HELD),
    "hangs": Case(held(0, 1), {"hangs"}),
    "mute": Case(answers(hold_s=30), {"mute"}),
    "late": Case(held(0, release_s=3.0), set(), {"answers-late", "pictures"}),
    "sloppy": Case(sim(faults=["bad-json"]), set(), {"status-sloppy", "pictures"}),
    "half a status": Case(sim(faults=["bad-json:kind=truncated"]), set(), {"status-sloppy", "pictures"}),
    "unreadable": Case(sim(faults=["bad-json:kind=html"]), {"status-unreadable"}, {"pictures"}),
    "no sensor": Case(sim(faults=["bad-json:kind=empty"]), {"no-sensor"}),
    "web server": Case(answers(http(b"<html>It works!</html>")), {"not-a-camera"}),
    "web server without status": Case(serves(page("/", b"<html>It works!</html>")), {"not-a-camera"}),
    "printer": Case(answers(http(b'{"state":"idle"}', "application/json")), {"not-a-camera"}),
    "password": Case(answers(http(b"no", status="401 Unauthorised")), {"wants-password"}),
    "no HTTP": Case(answers(b"SSH-2.0-OpenSSH_9.2\r\n"), {"no-http"}),
    "closes at once": Case(answers(), {"breaks-off"}),
    "a gigabyte": Case(answers(http(b"x", length=1 << 30)), {"no-http"}),
}
if sys.platform != "linux":  # elsewhere a port whose queue is full refuses, or takes the first few
    del CASES["off"], CASES["stream behind a firewall"]


class Report(NamedTuple):
    findings: list[es.Finding]
    requests: list[str] | None
    seconds: float


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """All of them at once: each is mostly waiting."""
    found: dict[str, Report] = {}

    def examine(name: str, url: str, camera: SimulatedCamera | None) -> None:
        began = time.monotonic()
        findings = list(es.diagnose(url))
        requests = None if camera is None else camera.requests
        found[name] = Report(findings, requests, time.monotonic() - began)

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(SimulatedCamera(framesize="VGA", quality=12, prerender=True))
        first.prepare()  # its pictures are all the others' too
        threads = []
        for name, case in CASES.items():
            threads.append(threading.Thread(target=examine, args=(name, *case.stage(stack))))
            threads[-1].start()
        for thread in threads:
            thread.join()
    return found


@pytest.mark.parametrize("name", CASES)
def test_the_true_cause_is_named(reports: dict[str, Report], name: str) -> None:
    case, report = CASES[name], reports[name]
    assert problems(report.findings) == case.wrong, report.findings
    assert case.told <= set(codes(report.findings)), report.findings
    assert not case.not_told & set(codes(report.findings)), report.findings
    assert report.seconds < LONGEST_S


OPENED = {"pictures", "stalls", "trickles", "no-picture", "framesize-too-big", "breaks"}


OPENED = {"pictures", "stalls", "trickles", "no-picture", "framesize-too-big", "breaks"}


@pytest.mark.parametrize("name", CASES)
def test_what_was_opened_is_let_go(reports: dict[str, Report], name: str) -> None:
    told = codes(reports[name].findings)
    if OPENED & set(told):
        assert "let-go" in told
    assert len(told) == len(set(told))


STATUS_11 = "/cm?cmnd=Status%2011"
HARMLESS = {"/status", "/dump", "/", "/stream", "/cm?cmnd=Wc", "/cm?cmnd=Status%200", STATUS_11}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_disturbed(reports: dict[str, Report], name: str) -> None:
    """No setting, no picture, one stream at most, and none of a firmware that would take it from others."""
    asked = [line.split()[1] for line in reports[name].requests or ()]
    assert set(asked) <= HARMLESS
    streams = [path for path in asked if path in ("/", "/stream")]
    assert len(streams) <= (0 if name == "tasmota" else 1)
    assert len(asked) <= 7


@pytest.mark.parametrize("name", CASES)
def test_problems_come_with_advice(reports: dict[str, Report], name: str) -> None:
    for finding in reports[name].findings:
        assert finding.words.endswith("."), finding
        assert (finding.advice == "") is (finding.ok is True), finding
        assert "{" not in finding.words + finding.advice


# --- what takes more than a fault


def test_another_viewer_here(matchbox_free: SimulatedCamera) -> None:
    with es.Camera(matchbox_free.url) as viewer:
        viewer.latest()
        began = time.monotonic()
        findings = list(es.diagnose(matchbox_free.url))
        # The board counts its viewers: no need to wait long for a silence that is no surprise.
        assert time.monotonic() - began < 6
        assert problems(findings) == {"busy"}
        assert set(codes(findings)) >= HELD
        assert next(f for f in findings if f.code == "busy").words.endswith("; it counts 1 viewer.")
        viewer.latest(timeout=2)  # undisturbed


@pytest.fixture
def matchbox_free() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(framesize="VGA", fps=10, side_delays=False) as camera:
        yield camera


def test_framesize_too_big_for_the_buffer() -> None:
    with SimulatedCamera(side_delays=False) as camera, es.Camera(camera.url) as user:
        user.set(framesize="XGA", quality=2)
        findings = list(es.diagnose(camera.url))
        assert problems(findings) == {"framesize-too-big"}
        found = next(f for f in findings if f.ok is False)
        assert "at XGA and quality 2 " in found.words
        assert found.advice.startswith("`espressoscope set CAMERA framesize=SVGA`")
        user.set(quality=20)
        after = codes(es.diagnose(camera.url))
    assert "framesize-too-big" not in after
    assert "pictures" in after


def test_a_restart_meanwhile() -> None:
    with SimulatedCamera(framesize="VGA", fps=10, side_delays=False, boot_s=0.5) as camera:
        time.sleep(3)  # the board tells its uptime in whole seconds
        findings = []
        with es.diagnose(camera.url) as report:
            for finding in report:
                findings.append(finding)
                if finding.code == "just-started":
                    time.sleep(1)
                    with camera.fault("reboot", seconds=0.5):
                        time.sleep(1)
    assert problems(findings) == {"restarted", "stalls"}


def test_what_runs_here_is_not_asked_for_its_network(matchbox_free: SimulatedCamera) -> None:
    assert "network" not in codes(es.diagnose(matchbox_free.url))


def test_nobody_there() -> None:
    assert codes(es.diagnose(f"127.0.0.1:{closed_port()}")) == ["refused"]


def test_a_name_nobody_has() -> None:
    assert codes(es.diagnose("no-such-camera.invalid")) == ["unresolved"]


def test_a_name_is_resolved(matchbox_free: SimulatedCamera) -> None:
    findings = list(es.diagnose(f"localhost:{urlsplit(matchbox_free.url).port}"))
    assert codes(findings)[0] == "name"
    assert problems(findings) == set()


def test_a_camera_by_its_name_and_another_in_its_place(
    matchbox_free: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(f'[cameras.A1]\nmac = "{matchbox_free.mac}"\nurl = "{matchbox_free.url}"\n')
    monkeypatch.setenv("ESPRESSOSCOPE_FLEET", str(file))
    with es.diagnose("A1") as report:
        assert next(report).code == "camera"
    file.write_text(f'[cameras.A1]\nmac = "02:00:00:00:00:01"\nurl = "{matchbox_free.url}"\n')
    findings = list(es.diagnose("A1"))
    assert codes(findings) == ["camera", "other-camera"], "a camera that is not meant is left alone"
    assert findings[0].words.startswith("Matchboxscope answers at ")
    with pytest.raises(es.ConnectError, match="neither a camera of the fleet file nor an address"):
        es.diagnose("A 2")


def test_a_camera_that_has_moved_is_looked_at_where_it_is(
    matchbox_free: SimulatedCamera, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.toml"
    monkeypatch.setenv("ESPRESSOSCOPE_FLEET", str(file))
    with findable() as camera:
        where = urlsplit(camera.url).netloc
        # Nobody is at its address; another one is; nobody knows its address.
        stale = (f"127.0.0.1:{closed_port()}", urlsplit(matchbox_free.url).netloc, "")
        for old in stale:
            url = f'url = "http://{old}"' if old else ""
            file.write_text(f'[cameras.A1]\nmac = "{camera.mac}"\n{url}\n')
            with es.diagnose("A1") as report:
                found = {finding.code: finding for finding in (next(report), next(report))}
            assert found["camera"].words.startswith(f"A1 answers at {where}: ")
            if old:
                assert found["moved"].words == f"A1 is at {where} by now, and not at {old} any more."
    findings = list(es.diagnose("A1"))
    assert codes(findings)[-1] == "nowhere"
    assert camera.mac in findings[-1].words


def test_a_password_is_wanted() -> None:
    with server(answering(http(b"no", status="401 Unauthorised"))) as address:
        findings = list(es.diagnose(f"http://user:hunter22@{address}"))
    assert codes(findings) == ["wants-password"]
    assert "hunter22" not in repr(findings)


def test_hostile_texts_are_cleaned() -> None:
    status = (
        b'{"cam_name":"\\u001b]0;evil\\u0007\\u202eA{host}B\\u0000","framesize":8,"quality":12,"xclk":8,'
        b'"isTimelapseGeneral":"0","stream_url":"http://192.168.4.1:%d/"}' % closed_port()
    )
    dump = b"Rssi: -9999999999<br>Up: 99999:99:99:99<br>Active streams: 9999999<br>MAC: \x1b[31m<br>"
    with server(serving(page("/status", status) | page("/dump", dump))) as address:
        findings = list(es.diagnose(address))
    text = "".join(f.words + f.advice for f in findings)
    assert text.isprintable()
    assert "A{host}B" in text
    assert problems(findings) == {"stream-refused"}


def test_it_can_be_ended_early(matchbox_free: SimulatedCamera) -> None:
    began = time.monotonic()
    with es.diagnose(matchbox_free.url) as report:
        assert next(report).code == "camera"
    assert time.monotonic() - began < 2
    assert list(report) == []
    with es.Camera(matchbox_free.url) as camera:
        camera.latest(timeout=3)


def test_it_ends_in_time_whatever_happens(
    matchbox_free: SimulatedCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    from espressoscope.lab import doctor

    monkeypatch.setattr(doctor, "LONGEST_S", 1.0)
    with matchbox_free.fault("silent-second"):
        began = time.monotonic()
        assert codes(es.diagnose(matchbox_free.url))[-1] == "cut-short"
        assert time.monotonic() - began < 3


def test_wrong_use() -> None:
    with pytest.raises(es.ConnectError, match="nor an address"):
        es.diagnose("not an address")
    with pytest.raises(es.UnsupportedError):
        es.diagnose("rtsp://192.168.4.1/")
    with pytest.raises(es.DiscoveryError):
        es.diagnose(networks="10.0.0.0/8")
    with pytest.raises(TypeError):
        es.diagnose(5)  # type: ignore[arg-type]
