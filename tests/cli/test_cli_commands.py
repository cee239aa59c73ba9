"""Every command against simulated cameras: what it prints, what --json says, how it ends."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from cli_support import REPO
from espressoscope.sim import SimulatedCamera

if TYPE_CHECKING:
    from pathlib import Path

    from cli_support import Cli

INFO_KEYS = ["name", "url", "stream_url", "mac", "firmware"]
FRAME_KEYS = ["received_at", "received_ns", "bytes", "width", "height", "sha256", "status"]
COMMANDS = [
    *("discover", "status", "set", "snap", "stream", "watch", "view", "record", "timelapse"),
    *("info", "repair", "export", "identify", "doctor", "wifi", "simulate", "demo"),
]


def port_of(address: str) -> str:
    return address.rpartition(":")[2]


# --- the program itself


@pytest.mark.fresh
def test_version_is_the_package_version(cli: Cli) -> None:
    import espressoscope

    assert cli.run("--version").out == f"espressoscope {espressoscope.__version__}\n"


@pytest.mark.fresh
def test_help_lists_every_command(cli: Cli) -> None:
    result = cli.run("--help")
    assert result.code == 0
    listed = re.findall(r"^  (\w+)  ", result.out.partition("Commands:")[2], re.MULTILINE)
    assert listed == [*COMMANDS[:12], "fleet", *COMMANDS[12:]]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_examples_and_json(cli: Cli, command: str) -> None:
    result = cli.run(command, "--help")
    assert result.code == 0
    assert f"\n    espressoscope {command}" in result.out
    assert "--json" in result.out
    assert "JSON" in result.out.partition("Options:")[0]


@pytest.mark.fresh
def test_without_a_command_it_shows_its_help_and_fails(cli: Cli) -> None:
    result = cli.run()
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom espressoscope.cli import main\ntry:\n    main(['stream', '--help'])\n"
        "except SystemExit:\n    print('loaded', *(n for n in ('numpy', 'PIL', 'zeroconf')"
        " if n in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(REPO / "src")},
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "loaded"


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["discover", "--nonsense"],
        ["discover", "--timeout", "soon"],
        ["discover", "--timeout", "0"],
        ["discover", "--port", "0"],
        ["discover", "--port", "90-80"],
        ["discover", "--port", "http"],
        ["discover", "--network", "10.0.0.0/8"],
        ["discover", "--network", "here"],
        ["status"],
        ["status", "127.0.0.1:99999"],
        ["status", "ftp://127.0.0.1"],
        ["status", ""],
        ["set", "127.0.0.1:1"],
        ["set", "127.0.0.1:1", "quality"],
        ["set", "127.0.0.1:1", "=12"],
        ["set", "127.0.0.1:1", "quality="],
        ["set", "127.0.0.1:1", "quality=1", "quality=2"],
        ["set", "127.0.0.1:1", "strict=0"],
        ["snap"],
        ["snap", "a", "b", "-o", "one.jpg"],
        ["snap", "127.0.0.1:1", "-o", "missing/one.jpg"],
        ["stream", "127.0.0.1:1", "--frames", "0"],
        ["stream", "127.0.0.1:1", "--seconds", "-1"],
        ["stream", "127.0.0.1:1", "--source", "telepathy"],
        ["stream", "127.0.0.1:1", "--fps-limit", "0.2"],
        ["watch", "ftp://127.0.0.1"],
        ["watch", "127.0.0.1:1", ""],
        ["watch", "127.0.0.1:1", "127.0.0.1:99999"],
        ["watch", "127.0.0.1:1", "--seconds", "0"],
        ["watch", "127.0.0.1:1", "--fps-limit", "0.4"],
        ["watch", "127.0.0.1:1", "--fps-limit", "61"],
        ["watch", "127.0.0.1:1", "--fps-limit", "-1"],
        ["watch", "127.0.0.1:1", "--fps-limit", "nan"],
        ["simulate", "--firmware", "linux"],
        ["simulate", "--framesize", "HUGE"],
        ["simulate", "--quality", "99"],
        ["simulate", "--fault", "boredom"],
        ["simulate", "--fault", "cut:depth=1"],
        ["simulate", "-n", "0"],
        ["simulate", "--port", "65535", "-n", "4"],
        ["demo", "--cameras", "0"],
        ["demo", "--seconds", "never"],
    ],
)
def test_wrong_use_is_told_once_and_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this process: so many of them would take a minute to start."""
    from espressoscope.cli import main

    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("Error: ") == 1
    assert len(err.splitlines()) >= 2, "no word of what to do instead"
    assert not list(tmp_path.iterdir())


# --- discover


@pytest.mark.fresh
def test_discover_tells_what_the_camera_is(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    where = ("--network", "127.0.0.1/32", "--port", port_of(address))
    result = cli.run("discover", *where, "--json")
    assert result.code == 0
    (camera,) = result.objects
    assert list(camera) == [*INFO_KEYS, "found_by"]
    assert camera == {
        "name": "Matchboxscope",
        "url": matchbox.url,
        "stream_url": matchbox.stream_url,
        "mac": matchbox.mac,
        "firmware": "matchboxscope",
        "found_by": "scan",
    }
    told = cli.run("discover", *where).out
    assert "Matchboxscope" in told
    assert matchbox.url in told


def test_discover_says_what_to_try_when_there_is_none(cli: Cli) -> None:
    message = cli.fails(1, "discover", "--network", "127.0.0.1", "--port", "1", "--json")
    assert "no camera was found" in message
    for tip in ("same network", "192.168.4.1", "matchboxscope.github.io"):
        assert tip in message


# --- status and set


@pytest.mark.fresh
def test_status_gives_typed_values(cli: Cli, address: str) -> None:
    result = cli.run("status", address, "--json")
    assert result.code == 0
    (status,) = result.objects
    assert status["camera"] == "Matchboxscope"
    assert status["framesize"] == "QVGA"
    assert status["awb"] is True
    assert isinstance(status["quality"], int)


@pytest.mark.fresh
def test_status_shows_value_range_and_words(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    text = cli.run("status", address).out
    assert matchbox.stream_url in text
    assert re.search(r"framesize +QVGA +.*UXGA", text)
    assert re.search(r"quality +\d+ +0 to 63\. JPEG compression", text)
    assert re.search(r"min_frame_time +0 +0 to 2000 ms", text)


@pytest.mark.fresh
def test_set_reports_each_setting(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    result = cli.run("set", address, "quality=20", "framesize=qvga", "hmirror=on", "--json")
    assert result.code == 0
    assert result.objects == [
        {
            "camera": "Matchboxscope",
            "setting": name,
            "asked": asked,
            "actual": actual,
            "ok": True,
            "message": "",
        }
        for name, asked, actual in (
            ("quality", "20", 20),
            ("framesize", "qvga", "QVGA"),
            ("hmirror", "on", True),
        )
    ]
    assert matchbox.sensor["quality"] == 20
    text = cli.run("set", address, "hmirror=off").out
    assert re.search(r"hmirror +off +off +ok", text)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("quality=64", "from 0 to 63"),
        ("quality=-1", "from 0 to 63"),
        ("quality=good", "from 0 to 63"),
        ("framesize=HUGE", "QVGA"),
        ("qualty=12", "Did you mean 'quality'"),
        ("a=b=c", "no setting 'a'"),
    ],
)
def test_a_setting_that_cannot_be_is_not_sent(
    cli: Cli, matchbox: SimulatedCamera, address: str, value: str, says: str
) -> None:
    assert says in cli.fails(2, "set", address, "brightness=1", value)
    assert matchbox.sensor["brightness"] == 0
    assert not any("brightness" in line for line in matchbox.requests)


# --- snap


@pytest.mark.fresh
def test_snap_writes_the_bytes_the_camera_sent(
    cli: Cli, matchbox: SimulatedCamera, address: str, tmp_path: Path
) -> None:
    result = cli.run("snap", address, "-o", "one.jpg", "--json")
    assert result.code == 0
    (shot,) = result.objects
    assert list(shot) == ["camera", "path", *FRAME_KEYS]
    data = (tmp_path / "one.jpg").read_bytes()
    assert data == matchbox.captured[-1].jpeg
    assert shot["path"] == "one.jpg"
    assert shot["bytes"] == len(data)
    assert shot["sha256"] == hashlib.sha256(data).hexdigest()
    assert (shot["width"], shot["height"], shot["status"]) == (320, 240, "ok")
    taken = datetime.fromisoformat(shot["received_at"])
    assert shot["received_at"].endswith("Z")
    assert abs(taken.timestamp() - shot["received_ns"] / 1e9) < 1e-5
    assert abs((datetime.now(UTC) - taken).total_seconds()) < 60


def test_snap_never_replaces_a_file(cli: Cli, address: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jpg"
    kept.write_bytes(b"mine")
    assert "--force" in cli.fails(2, "snap", address, "-o", "kept.jpg")
    assert kept.read_bytes() == b"mine"
    assert cli.run("snap", address, "-o", "kept.jpg", "--force").code == 0
    assert kept.read_bytes()[:2] == b"\xff\xd8"
    for _ in range(2):
        assert cli.run("snap", address, "-o", "folder").code == 0
    assert len(list((tmp_path / "folder").iterdir())) == 2


@pytest.mark.fresh
def test_snap_takes_one_large_picture(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    (shot,) = cli.run("snap", address, "--framesize", "SVGA", "--json").objects
    assert (shot["width"], shot["height"]) == (800, 600)
    assert cli.run("status", address, "--json").objects[0]["framesize"] == "QVGA"
    assert "QVGA" in cli.fails(2, "snap", address, "--framesize", "HUGE")


def test_snap_of_several_goes_on_when_one_fails(cli: Cli, address: str, tmp_path: Path) -> None:
    with SimulatedCamera(framesize="QQVGA", side_delays=False) as second:
        result = cli.run("snap", address, "127.0.0.1:1", second.url, "-o", "pictures/", "--json")
        names = {f"Matchboxscope-{mac}" for mac in (second.mac.replace(":", "")[-6:],)}
    assert result.code == 1
    assert result.err.count("Error: ") == 1
    shots = result.objects
    assert {(shot["width"], shot["height"]) for shot in shots} == {(320, 240), (160, 120)}
    assert names < {shot["camera"] for shot in shots}, "cameras of one name must be told apart"
    files = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert files == sorted(shot["path"].rpartition("/")[2] for shot in shots)


# --- stream


@pytest.mark.fresh
def test_stream_tells_of_each_frame(cli: Cli, matchbox: SimulatedCamera, address: str) -> None:
    result = cli.run("stream", address, "--frames", "5", "--json")
    assert result.code == 0
    frames = result.objects
    assert [list(frame) for frame in frames] == [["camera", "sequence", *FRAME_KEYS]] * 5
    assert [frame["sequence"] for frame in frames] == list(range(5))
    sent = [hashlib.sha256(record.jpeg).hexdigest() for record in matchbox.sent]
    start = sent.index(frames[0]["sha256"])
    assert [frame["sha256"] for frame in frames] == sent[start : start + 5]
    assert "5 frames" in result.err


@pytest.mark.fresh
def test_stream_stores_frames_as_sent(
    cli: Cli, matchbox: SimulatedCamera, address: str, tmp_path: Path
) -> None:
    for _ in range(2):
        assert cli.run("stream", address, "--frames", "3", "-o", "frames").code == 0
    files = sorted((tmp_path / "frames").iterdir())
    assert len(files) == 6
    assert all(
        re.fullmatch(r"Matchboxscope_00000[0-2]_\d{8}T\d{6}\.\d{6}Z\.jpg", file.name) for file in files
    )
    sent = {record.jpeg for record in matchbox.sent}
    assert {file.read_bytes() for file in files} <= sent


def test_stream_ends_in_time_and_sums_up(cli: Cli, address: str) -> None:
    result = cli.run("stream", address, "--seconds", "1")
    assert result.code == 0
    (summary,) = re.findall(r"(\d+) frames in ([\d.]+) s, ([\d.]+) fps", result.out)
    assert 5 <= int(summary[0]) <= 60
    assert 0.9 <= float(summary[1]) <= 5


def test_stream_polls_cameras_without_a_stream(cli: Cli, address: str) -> None:
    result = cli.run("stream", address, "--source", "snapshots", "--frames", "2", "--json")
    assert result.code == 0
    assert len(result.objects) == 2


def test_stream_takes_the_address_of_a_bare_stream(cli: Cli, matchbox: SimulatedCamera) -> None:
    result = cli.run("stream", matchbox.stream_url, "--frames", "2", "--json")
    assert result.code == 0
    assert len(result.objects) == 2


def test_stream_counts_damage_and_gives_it_when_asked(
    cli: Cli, matchbox: SimulatedCamera, address: str
) -> None:
    with matchbox.fault("corrupt", every=2, kind="no-eoi"):
        quiet = cli.run("stream", address, "--frames", "3", "--json")
        asked = cli.run("stream", address, "--frames", "4", "--damaged", "--json")
    assert [frame["status"] for frame in quiet.objects] == ["ok"] * 3
    assert not quiet.err.rstrip().endswith("0 damaged, 0 reconnects")
    assert {frame["status"] for frame in asked.objects} == {"ok", "truncated"}


def test_stream_survives_a_camera_that_cuts_the_line(
    cli: Cli, matchbox: SimulatedCamera, address: str
) -> None:
    with matchbox.fault("cut", every=5):
        result = cli.run("stream", address, "--frames", "12")
    assert result.code == 0
    assert "12 frames" in result.out
    assert "0 reconnects" not in result.out


# --- simulate


@pytest.mark.fresh
def test_simulate_says_where_its_cameras_are_and_serves(cli: Cli) -> None:
    running = cli.start(
        "simulate", "-n", "3", "--port", "0", "--firmware", "matchboxscope,esphome", "--framesize", "QQVGA",
        "--fps", "20", "--quality", "30", "--name", "Plate", "--json",
    )  # fmt: skip
    cameras = running.lines(3)
    assert [list(camera) for camera in cameras] == [INFO_KEYS] * 3
    assert [camera["firmware"] for camera in cameras] == ["matchboxscope", "esphome", "matchboxscope"]
    assert len({camera["mac"] for camera in cameras}) == 3
    assert cameras[0]["name"] == "Plate-1"
    status = cli.run("status", cameras[0]["url"], "--json").objects[0]
    assert (status["framesize"], status["quality"]) == ("QQVGA", 30)
    frames = cli.run("stream", cameras[1]["stream_url"], "--frames", "2", "--json").objects
    assert [(frame["width"], frame["height"]) for frame in frames] == [(160, 120)] * 2


def test_simulate_ends_by_itself(cli: Cli) -> None:
    result = cli.run("simulate", "--port", "0", "--seconds", "0.5")
    assert result.code == 0
    assert "http://127.0.0.1:" in result.out


def test_two_simulators_are_different_cameras(cli: Cli) -> None:
    macs = {
        cli.run("simulate", "--port", "0", "--seconds", "0", "--json").objects[0]["mac"] for _ in range(2)
    }
    assert len(macs) == 2


def test_simulate_has_the_fault_it_is_told(cli: Cli) -> None:
    running = cli.start("simulate", "--port", "0", "--fault", "bad-json:kind=html", "--json")
    (camera,) = running.lines(1)
    cli.fails(1, "status", camera["url"])


def test_simulate_says_when_its_port_is_taken(cli: Cli, address: str) -> None:
    assert "--port" in cli.fails(1, "simulate", "--port", port_of(address))
