"""`discover` as users call it."""

from __future__ import annotations

import contextlib
import gc
import ipaddress
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOP_THREAD = "espressoscope-loop"


def port_of(cam: SimulatedCamera) -> int:
    return int(cam.url.rpartition(":")[2])


def loop_runs() -> bool:
    return any(thread.name == LOOP_THREAD for thread in threading.enumerate())


@pytest.fixture
def cam() -> Iterator[SimulatedCamera]:
    with SimulatedCamera() as simulated:
        yield simulated


@pytest.fixture
def crowd() -> Iterator[int]:
    """A port on which everything in 127/8 takes connections and says nothing."""
    with socket.create_server(("0.0.0.0", 0), backlog=512) as listener:
        yield listener.getsockname()[1]


def test_simulated_cameras_of_every_family() -> None:
    families = ["matchboxscope", "easytarget", "camerawebserver", "tasmota", "esphome"]
    with contextlib.ExitStack() as stack:
        cams = [stack.enter_context(SimulatedCamera(family)) for family in families]
        found = {info.url: info for info in es.discover("127.0.0.1", [port_of(cam) for cam in cams])}
        for cam in cams:
            assert not any("stream" in line or line.startswith("GET / ") for line in cam.requests)
            assert len(cam.sent) == 0
            if cam.firmware == "esphome":
                assert cam.url not in found, (
                    "it has a stream and nothing else, which is not opened to find out"
                )
                continue
            info = found[cam.url]
            assert info.firmware == cam.firmware
            assert info.stream_url == cam.stream_url
            assert info.found_by == "scan"
            if cam.firmware != "camerawebserver":  # no page of its tells
                assert info.mac == cam.mac
    assert len(found) == 4


def test_a_camera_found_opens(cam: SimulatedCamera) -> None:
    (info,) = es.discover("127.0.0.1/32", port_of(cam))
    with es.Camera(info) as opened:
        assert opened.info.mac == info.mac


def test_a_camera_that_streams_is_found_undisturbed(cam: SimulatedCamera) -> None:
    port = port_of(cam)
    stream_port = int(cam.stream_url.rpartition(":")[2].rstrip("/"))
    with es.Camera(cam.url) as viewer:
        viewer.latest(timeout=20)
        before = len(cam.requests)
        with es.discover(ports=[port, stream_port], networks="127.0.0.1") as found:
            assert [info.url for info in found] == [cam.url]
        assert {line.split()[1] for line in cam.requests[before:]} == {"/status", "/dump"}
        assert viewer.stats.reconnects == 0


def test_twenty_four_of_the_same_name() -> None:
    with contextlib.ExitStack() as stack:
        cams = [stack.enter_context(SimulatedCamera()) for _ in range(24)]
        found = list(es.discover("127.0.0.1", [port_of(cam) for cam in cams], timeout=10))
    assert {info.name for info in found} == {"Matchboxscope"}
    assert {info.mac for info in found} == {cam.mac for cam in cams}


@pytest.mark.parametrize(
    "arguments",
    [
        {"networks": "192.168.1.0/33"},
        {"networks": "10.0.0.0/8"},
        {"networks": []},
        {"ports": "http"},
        {"ports": 0},
        {"timeout": 0},
        {"timeout": float("nan")},
    ],
)
def test_arguments_that_cannot_be_used_are_refused_at_once(arguments: dict[str, object]) -> None:
    with pytest.raises(es.DiscoveryError):
        es.discover(**arguments)  # type: ignore[arg-type]
    assert not loop_runs()


def test_networks_may_be_objects(cam: SimulatedCamera) -> None:
    network = ipaddress.ip_network("127.0.0.1/32")
    assert len(list(es.discover([network], str(port_of(cam))))) == 1


def test_the_search_begins_with_the_call(cam: SimulatedCamera) -> None:
    with es.discover("127.0.0.1", port_of(cam)) as found:
        wait_until(lambda: any("/dump" in line for line in cam.requests))
        assert next(found).url == cam.url


def test_the_end_is_the_end(cam: SimulatedCamera) -> None:
    found = es.discover("127.0.0.1", port_of(cam))
    assert len(list(found)) == 1
    assert list(found) == []
    found.close()
    assert not loop_runs()


def test_closing_early(crowd: int) -> None:
    found = es.discover("127.9.0.0/24", crowd, timeout=60)
    begun = time.monotonic()
    found.close()
    found.close()
    assert time.monotonic() - begun < 5
    assert not loop_runs()
    assert next(found, None) is None


def test_leaving_a_loop_early_ends_the_search(cam: SimulatedCamera, crowd: int) -> None:
    for info in es.discover("127.0.0.1, 127.9.0.0/26", [port_of(cam), crowd], timeout=60):
        assert info.url == cam.url
        break
    gc.collect()
    wait_until(lambda: not loop_runs(), what="the end of the loop's thread")


def test_an_error_of_the_users_own_ends_the_search(crowd: int) -> None:
    def progress(_: object) -> None:
        raise KeyError("mine")

    found = es.discover("127.0.0.1, 127.9.0.0/26", [9, crowd], timeout=60, progress=progress)
    with pytest.raises(KeyError, match="mine"):
        next(found)
    assert not loop_runs()


def test_progress_is_told_on_the_users_thread(cam: SimulatedCamera) -> None:
    told: list[tuple[int, int, int]] = []
    threads = set()

    def progress(step: object) -> None:
        threads.add(threading.current_thread())
        told.append((step.asked, step.total, step.found))  # type: ignore[attr-defined]

    assert len(list(es.discover("127.0.0.1", port_of(cam), progress=progress))) == 1
    assert told[-1] == (1, 1, 1)
    assert threads == {threading.current_thread()}


def test_two_at_once_and_another_after(cam: SimulatedCamera) -> None:
    results: list[list[es.CameraInfo]] = []

    def search() -> None:
        results.append(list(es.discover("127.0.0.1", port_of(cam))))

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    search()
    assert [len(result) for result in results] == [1, 1, 1]


def test_beside_an_open_camera(cam: SimulatedCamera) -> None:
    with es.Camera(cam.url) as opened:
        assert len(list(es.discover("127.0.0.1", port_of(cam)))) == 1
        assert opened.status()["framesize"]
        assert loop_runs()


def test_nothing_is_remembered_where_the_variable_says_where_to_look(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, cam: SimulatedCamera
) -> None:
    folder = tmp_path_factory.mktemp("state")
    monkeypatch.setenv("ESPRESSOSCOPE_STATE", str(folder))
    assert len(list(es.discover(ports=port_of(cam)))) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT to one process")
def test_ctrl_c() -> None:
    code = (
        "import sys, espressoscope as es\n"
        "found = es.discover('127.9.0.0/28', int(sys.argv[1]), timeout=60)\n"
        "try:\n    print('waiting', flush=True)\n    list(found)\n"
        "except KeyboardInterrupt:\n    print('interrupted', flush=True)\n"
        "import threading; print(threading.active_count())\n"
    )
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("0.0.0.0", 0), backlog=512))
        command = [sys.executable, "-c", code, str(listener.getsockname()[1])]
        program = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        listener.settimeout(30)
        for _ in range(14):
            connection = stack.enter_context(listener.accept()[0])
            connection.settimeout(30)
            assert connection.recv(4096).endswith(b"\r\n\r\n")
        assert program.stdout is not None
        assert program.stdout.readline() == "waiting\n"
        os.kill(program.pid, signal.SIGINT)
        out, err = program.communicate(timeout=30)
    assert out.split() == ["interrupted", "1"]
    assert err == ""
