"""A camera on its way into a network: told, restarted, found again by its MAC, and nothing secret said."""

from __future__ import annotations

import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from cli_support import http, server
from doctor_support import findable
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from support import PrivateNetwork

PROGRAM = Path(__file__).with_name("lab_lan.py")
SECRET = "Correct;Horse-7"
NEW = {"host": "192.168.4.1", "moves_to": "10.77.0.23"}


def live(netns: PrivateNetwork, tmp_path: Path, **plan: Any) -> dict[str, Any]:
    env = {
        "ESPRESSOSCOPE_NETWORKS": "",
        "ESPRESSOSCOPE_STATE": str(tmp_path),
        "ESPRESSOSCOPE_WIFI_PASSWORD": SECRET,
    }
    done = netns.run([sys.executable, str(PROGRAM), json.dumps(plan)], env=env, timeout_s=110)
    assert done.stderr == ""
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_it_is_found_in_the_new_network(netns: PrivateNetwork, tmp_path: Path) -> None:
    """This computer is in the camera's own network only, and joins the other when told to."""
    report = live(
        netns,
        tmp_path,
        own=["192.168.4.2/24"],
        cameras=[NEW],
        switch=["address del 192.168.4.2/24 dev near", "address add 10.77.0.1/24 dev near"],
        join={"camera": "192.168.4.1", "ssid": "lab", "password": SECRET, "timeout": 60},
    )
    steps = report["steps"]
    assert [step[0] for step in steps] == ["reached", "told", "switch", "looking", "found"]
    assert steps[-1][1] is True
    assert steps[-1][3] == "http://10.77.0.23"
    asked = [line.split()[1] for line in report["requests"][0] if "/control" in line]
    assert asked == [
        "/control?var=ssid&val=lab",
        f"/control?var=password&val={SECRET}",
        "/control?var=reboot&val=1",
    ]
    assert SECRET not in json.dumps(steps)
    remembered = json.loads((tmp_path / "hosts.json").read_text(encoding="utf-8"))["hosts"]
    assert [entry["host"] for entry in remembered] == ["10.77.0.23"]


def test_it_could_not_join_and_is_alone_again(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(
        netns,
        tmp_path,
        own=["192.168.4.2/24", "10.77.0.1/24"],
        cameras=[{"host": "192.168.4.1"}],
        join={"camera": "192.168.4.1", "ssid": "lab", "password": SECRET, "timeout": 60},
    )
    assert [step[0] for step in report["steps"]] == ["reached", "told", "switch", "looking", "alone"]
    assert report["steps"][-1][1] is False


def test_the_command(netns: PrivateNetwork, tmp_path: Path) -> None:
    report = live(
        netns,
        tmp_path,
        own=["192.168.4.2/24", "10.77.0.1/24"],
        cameras=[NEW],
        command=["wifi", "192.168.4.1", "--ssid", "lab", "--json", "--verbose", "--network", "10.77.0.0/24"],
    )
    code, out, err = report["done"]
    objects = [json.loads(line) for line in out.splitlines()]
    assert code == 0, err
    assert [(step["code"], step["ok"]) for step in objects][-1] == ("found", True)
    assert objects[-1]["url"] == "http://10.77.0.23"
    assert objects[-1]["mac"]
    assert all(list(step) == ["code", "ok", "words", "advice", "name", "url", "mac"] for step in objects)
    assert "unencrypted" in err
    assert SECRET not in out + err


def test_it_is_not_found_in_time() -> None:
    with SimulatedCamera(side_delays=False, boot_s=60) as camera:
        began = time.monotonic()
        with es.join_wifi(camera.url, "lab", SECRET, timeout=8, networks="127.0.0.1/32") as steps:
            told = list(steps)
    assert time.monotonic() - began < 13
    assert [step.code for step in told] == ["reached", "told", "looking", "not-found"]
    assert told[-1].ok is False
    own = f"Matchboxscope-{camera.mac.replace(':', '')}"
    assert f"look for the WiFi {own}." in told[-1].advice


def test_it_is_back_in_another_network() -> None:
    """A board that forgets what it was told joins the network it knew before."""
    with SimulatedCamera(side_delays=False, boot_s=0.5) as camera:
        board = camera._board
        assert board is not None
        told = []
        for step in es.join_wifi(camera.url, "lab", SECRET, timeout=30, networks="127.0.0.1/32"):
            told.append(step.code)
            if step.code == "told":
                board.wifi["ssid"] = "Blynk"
    assert told == ["reached", "told", "looking", "elsewhere"]


def test_back_where_it_was_in_the_right_network() -> None:
    with SimulatedCamera(side_delays=False, boot_s=0.5) as camera:
        steps = list(es.join_wifi(camera.url, "lab", SECRET, timeout=30, networks="127.0.0.1/32"))
    assert [step.code for step in steps] == ["reached", "told", "looking", "found"]
    assert steps[-1].camera is not None
    assert steps[-1].camera.mac == camera.mac


def camera_server(refused: str = "") -> Any:
    """A control server that takes everything but one variable, and never restarts."""
    status = b'{"framesize":8,"quality":12,"cam_name":"Fake","isTimelapseGeneral":"0"}'
    dump = b"SSID: old<br>MAC: 02:00:00:00:00:07<br>Up: 0:01:00:00 (d:h:m:s)<br>"

    def handle(connection: Any) -> None:
        path = connection.recv(65536).split()[1].decode()
        wrong = bool(refused) and f"var={refused}&" in path
        body = status if path == "/status" else dump if path == "/dump" else b""
        connection.sendall(http(body, status="500 Internal Server Error" if wrong else "200 OK"))

    return server(handle)


def test_a_camera_of_the_fleet_file_is_told_wherever_it_is_and_no_other() -> None:
    with SimulatedCamera(side_delays=False) as other:
        with findable(boot_s=60) as camera:
            meant = replace(camera.info, name="A1", url=other.url)
            with es.join_wifi(meant, "lab", SECRET, timeout=60) as steps:
                reached, told = next(steps), next(steps)
            assert told.code == "told"
            assert reached.words.startswith("A1 answers at ")
            assert reached.camera is not None
            assert reached.camera.url == camera.url
            assert any(SECRET in line for line in camera.requests)
        with pytest.raises(es.ConnectError, match=f"and not {camera.mac}: it is told nothing"):
            list(es.join_wifi(meant, "lab", SECRET))
        with pytest.raises(es.ConnectError, match="nobody knows where"):
            list(es.join_wifi(replace(meant, url=""), "lab", SECRET))
        assert not any("control" in line for line in other.requests)


def test_a_board_that_does_not_restart() -> None:
    with camera_server() as address:
        steps = list(es.join_wifi(address, "lab", SECRET, timeout=8, networks="127.0.0.1/32"))
    assert [step.code for step in steps] == ["reached", "told", "looking", "not-restarted"]


@pytest.mark.parametrize(
    ("ssid", "password", "says"),
    [
        ("my lab", SECRET, "' ' of the network name"),
        ("lab", "with a blank", "' ' of the password"),
        ("lab", "amper&sand1", "'&' of the password"),
        ("lab", "hash#hash1", "'#' of the password"),
        ("lab", "per%cent12", "'%' of the password"),
        ("Labör", SECRET, "'ö' of the network name"),
        ("lab", "p" * 32, "password is 32 characters"),
        ("l" * 32, SECRET, "network name is 32 characters"),
        ("lab", "short", "at least 8 characters, this one 5"),
        ("", SECRET, "a network has a name"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(ssid: str, password: str, says: str) -> None:
    with SimulatedCamera(side_delays=False) as camera:
        with pytest.raises(es.SettingError, match=says) as refused:
            list(es.join_wifi(camera.url, ssid, password, timeout=5))
        assert not any("control" in line for line in camera.requests)
    assert not refused.value.results
    if len(password) > 5:
        assert password not in str(refused.value)


@pytest.mark.parametrize("firmware", ["easytarget", "camerawebserver", "tasmota"])
def test_a_firmware_that_cannot_be_told(firmware: str) -> None:
    with SimulatedCamera(firmware, side_delays=False) as camera:
        with pytest.raises(es.UnsupportedError, match="cannot be told a network") as refused:
            list(es.join_wifi(camera.url, "lab", SECRET))
        assert not any("control" in line or "cm?cmnd=ss" in line.lower() for line in camera.requests)
    assert SECRET not in str(refused.value) + repr(vars(refused.value))


def test_a_camera_that_refuses_says_nothing_secret() -> None:
    """Its answer to the name is good, the one to the password is not."""
    with camera_server(refused="password") as address:
        with pytest.raises(es.UnsupportedError, match="takes no network's password") as refused:
            list(es.join_wifi(address, "lab", SECRET))
        with es.Camera(address) as camera, pytest.raises(es.UnsupportedError) as too:
            camera.set_wifi("lab", SECRET)
    for error in (refused.value, too.value):
        assert SECRET not in str(error) + repr(error) + repr(vars(error)) + repr(error.__cause__)


def test_the_password_is_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with SimulatedCamera(side_delays=False, boot_s=60) as camera:
        with es.join_wifi(camera.url, "lab", SECRET, timeout=30, networks="127.0.0.1/32") as steps:
            shown = [repr(step) for step in (next(steps), next(steps))]
            shown.append(repr(steps))
        assert any(SECRET in line for line in camera.requests)
    assert SECRET not in caplog.text + "".join(shown)
    assert "told" in shown[1]
    if sys.platform == "linux":
        assert SECRET.encode() not in Path("/proc/self/cmdline").read_bytes()


def test_it_can_be_ended_while_it_looks() -> None:
    with SimulatedCamera(side_delays=False, boot_s=60) as camera:
        with es.join_wifi(camera.url, "lab", SECRET, timeout=60) as steps:
            assert [next(steps).code, next(steps).code] == ["reached", "told"]
            began = time.monotonic()
        assert time.monotonic() - began < 1
        assert list(steps) == []


def test_wrong_use() -> None:
    with pytest.raises(es.ConnectError):
        es.join_wifi("not an address", "lab", SECRET)
    with pytest.raises(es.DiscoveryError):
        es.join_wifi("192.168.4.1", "lab", SECRET, timeout=0)
    with pytest.raises(es.DiscoveryError):
        es.join_wifi("192.168.4.1", "lab", SECRET, networks="10.0.0.0/8")
