"""The fleet commands and identify, against simulated cameras."""

from __future__ import annotations

import io
import re
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.text import Text

import espressoscope as es
from espressoscope.cli.output import fitting_table
from espressoscope.sim import SimulatedCamera, simulate
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_support import Cli

MEMBER_KEYS = ["name", "mac", "url", "firmware", "profile", "keep_profile", "plate", "well"]
SUBCOMMANDS = [
    *("add", "list", "rename", "assign", "forget", "apply", "diff"),
    *("profile save", "profile list", "profile forget"),
]


@pytest.fixture(scope="module")
def boards() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, fps=20, framesize="QVGA") as cameras:
        yield cameras


@pytest.fixture
def lab(tmp_path: Path, boards: list[SimulatedCamera]) -> Path:
    """Give a fleet file with A1 and A2, two of three boards."""
    file = es.FleetFile.load(tmp_path / "lab.toml")
    for name, board in zip(("A1", "A2"), boards, strict=False):
        file.add(board.info, name)
        file.assign(name, "plate 1", name, wells=24)
    file.put_profile("leaf", {"quality": 33, "aec": False})
    file.save()
    return file.path


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


# ---- the commands themselves


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_each_help_has_examples_and_json(cli: Cli, command: str) -> None:
    result = cli.run("fleet", *command.split(), "--help")
    assert result.code == 0
    assert f"\n    espressoscope fleet {command}" in result.out
    assert "JSON" in result.out.partition("Options:")[0]
    assert "--file PATH" in result.out


@pytest.mark.parametrize("words", [["fleet"], ["fleet", "profile"]])
def test_without_a_command_the_help_is_shown(cli: Cli, words: list[str]) -> None:
    result = cli.run(*words)
    assert (result.code, result.out) == (2, "")
    assert "Commands:" in result.err
    assert cli.run(*words, "--help").code == 0


@pytest.mark.usefixtures("own_signals")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["add", "--name", "A9"], "--name is for one camera"),
        (["add", "127.0.0.1:1", "127.0.0.1:2", "--name", "A9"], "--name is for one camera"),
        (["add", "127.0.0.1:1", "--network", "127.0.0.1"], "--network and --port are for a search"),
        (["add", "--network", "here"], "here"),
        (["add", "a/b"], "not the address"),
        (["rename", "B9", "B8"], "no camera 'B9'; it has A1, A2"),
        (["rename", "A1", "a2"], "there is a camera A2 already"),
        (["rename", "A1", "a/2"], "Windows"),
        (["rename", "A1"], "Missing argument"),
        (["assign", "A1"], "where does it stand"),
        (["assign", "A1", "A1", "--nowhere"], "where does it stand"),
        (["assign", "A1", "E1"], "it has A1 to D6"),
        (["assign", "A1", "A2"], "well A2 of plate 1 has A2"),
        (["assign", "A1", "A1", "--plate", "new"], "--wells"),
        (["assign", "A1", "A1", "--plate", "new", "--wells", "25"], "there are plates of 6"),
        (["forget", "A1", "A9"], "no camera 'A9'"),
        (["apply", "stem"], "no profile 'stem'; it has leaf"),
        (["apply", "leaf", "A9"], "no camera 'A9'"),
        (["apply"], "none of these cameras has a profile"),
        (["apply", "--keep"], "--keep is for a profile"),
        (["diff"], "none of these cameras has a profile"),
        (["diff", "--profile", "stem"], "no profile 'stem'"),
        (["diff", "leaf"], "leaf is a profile: fleet diff --profile leaf"),
        (["profile", "list", "stem"], "no profile 'stem'"),
        (["profile", "forget", "stem"], "no profile 'stem'"),
        (["profile", "save", "LEAF", "--from", "A1"], "there is a profile leaf already"),
        (["profile", "save", "x"], "Missing option"),
    ],
)
def test_wrong_use_changes_nothing(
    lab: Path,
    words: list[str],
    says: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from espressoscope.cli import main

    before = lab.read_bytes()
    monkeypatch.chdir(lab.parent)
    with pytest.raises(SystemExit) as ended:
        main(["fleet", *words])
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, ""), err
    assert says in err
    assert err.count("Error: ") == 1
    assert len(err.splitlines()) >= 2, "no word of what to do instead"
    assert lab.read_bytes() == before
    assert list(lab.parent.iterdir()) == [lab]


@pytest.mark.usefixtures("lab")
def test_a_broken_file_is_told_and_left(cli: Cli, lab: Path) -> None:
    lab.write_text("[cameras.A1]\nurl = 'x'\nwell = \n", encoding="utf-8")
    before = lab.read_bytes()
    for words in (["list"], ["add", "127.0.0.1:1"], ["forget", "A1"], ["apply", "leaf"], ["profile", "list"]):
        message = cli.fails(1, "fleet", *words)
        assert "lab.toml, line 3: " in message
        assert "Mend the file by hand" in message
    assert "line 3" in cli.fails(1, "snap", "A1")
    assert lab.read_bytes() == before


# ---- add and list


@pytest.mark.fresh
def test_cameras_are_added_by_address(cli: Cli, boards: list[SimulatedCamera], tmp_path: Path) -> None:
    where = [boards[0].url, boards[1].url.removeprefix("http://"), "127.0.0.1:1"]
    result = cli.run("fleet", "add", *where, "--file", "new.toml", "--json")
    assert result.code == 1
    assert result.err.count("Error: ") == 1
    assert "127.0.0.1:1: the host is there, but nothing listens" in result.err
    assert [list(each) for each in result.objects] == [[*MEMBER_KEYS, "state"]] * 2
    assert [each["mac"] for each in result.objects] == [board.mac for board in boards[:2]]
    assert {each["state"] for each in result.objects} == {"added"}
    names = [f"Matchboxscope-{board.mac.replace(':', '')[-6:]}" for board in boards[:2]]
    assert [each["name"] for each in result.objects] == names
    assert list(read(tmp_path / "new.toml")["cameras"]) == names
    result = cli.run("fleet", "add", boards[2].url, "--name", "C1", "--file", "new.toml")
    assert result.code == 0
    assert "3 cameras in new.toml" in result.out


def test_cameras_are_added_as_a_search_finds_them(cli: Cli, lab: Path, boards: list[SimulatedCamera]) -> None:
    ports = [word for board in boards for word in ("--port", board.url.rpartition(":")[2])]
    lab.write_text(
        lab.read_text(encoding="utf-8").replace(boards[1].url, "http://127.0.0.1:9"), encoding="utf-8"
    )
    result = cli.run("fleet", "add", "--network", "127.0.0.1/32", *ports, "--json")
    assert result.code == 0
    states = {each["mac"]: (each["name"], each["state"]) for each in result.objects}
    assert states[boards[0].mac] == ("A1", "known")
    assert states[boards[1].mac] == ("A2", "updated")
    assert states[boards[2].mac][1] == "added"
    assert read(lab)["cameras"]["A2"]["url"] == boards[1].url
    assert "no camera was found" in cli.fails(1, "fleet", "add", "--network", "127.0.0.1", "--port", "1")


@pytest.mark.fresh
def test_the_list(cli: Cli, lab: Path, boards: list[SimulatedCamera], tmp_path: Path) -> None:
    result = cli.run("fleet", "list", "--json")
    assert result.code == 0
    assert [list(each) for each in result.objects] == [MEMBER_KEYS] * 2
    assert result.objects[0] == {
        "name": "A1",
        "mac": boards[0].mac,
        "url": boards[0].url,
        "firmware": "matchboxscope",
        "profile": None,
        "keep_profile": False,
        "plate": "plate 1",
        "well": "A1",
    }
    assert re.search(
        rf"A2 +{boards[1].mac} +{boards[1].url} +matchboxscope +plate 1 +A2 +-", cli.run("fleet", "list").out
    )
    (tmp_path / "empty.toml").write_text("", encoding="utf-8")
    empty = cli.run("fleet", "list", "--file", "empty.toml")
    assert empty.code == 0
    assert "espressoscope fleet add" in empty.out
    assert "there is no such file" in cli.fails(1, "fleet", "list", "--file", "missing.toml")
    before = lab.read_bytes()
    assert cli.run("fleet", "list", "--check").code == 0
    assert lab.read_bytes() == before


def test_a_check_tells_who_answers_and_notes_where(
    cli: Cli, lab: Path, boards: list[SimulatedCamera]
) -> None:
    with SimulatedCamera(port=8172, fps=20, framesize="QQVGA") as here:
        info = here.info
    file = es.FleetFile.load(lab)
    file.add(info, "gone")
    file.add(es.CameraInfo("x", "http://127.0.0.1:9", None, None, "unknown", "given"), "dead")
    file.save()
    with SimulatedCamera(port=8170, number=here.number, fps=20, framesize="QQVGA") as moved:
        result = cli.run("fleet", "list", "--check", "--json")
    assert result.code == 1
    answers = {each["name"]: (each["answers"], each["url"]) for each in result.objects}
    assert answers["gone"] == (True, moved.url)
    assert answers["dead"] == (False, "http://127.0.0.1:9")
    assert answers["A1"] == (True, boards[0].url)
    assert all(bool(each["message"]) is not each["answers"] for each in result.objects)
    assert read(lab)["cameras"]["gone"]["url"] == moved.url
    result = cli.run("fleet", "list", "--check")
    assert re.search(r"^dead +- .* no *$", result.out, re.M)
    assert "Error: dead: the host is there, but nothing listens" in result.err


def test_a_list_leaves_columns_out_rather_than_breaking_names() -> None:
    cells = {
        "NAME": ["Matchboxscope-1A2B3C", "Küche"],
        "MAC": ["02:E5:9E:0F:F5:C4", "-"],
        "ADDRESS": ["http://192.168.178.120", "http://10.0.0.1"],
        "FIRMWARE": ["matchboxscope", "esphome"],
        "PLATE": ["plate 1", "-"],
        "WELL": ["A1", "-"],
        "PROFILE": ["-", "-"],
    }
    columns = {name: [Text(cell) for cell in column] for name, column in cells.items()}
    left_out: list[set[str]] = []
    for width in (200, 96, 82, 66, 10):
        table = fitting_table(columns, width, ("FIRMWARE", "MAC", "WELL", "PLATE", "PROFILE"))
        left_out.append(set(cells) - {str(column.header) for column in table.columns})
        if width > 10:
            lines = io.StringIO()
            Console(width=width, file=lines).print(table)
            assert lines.getvalue().count("\n") == 3, "a row is a line"
    assert left_out == [
        set(),
        {"PROFILE"},
        {"PROFILE", "FIRMWARE"},
        {"PROFILE", "FIRMWARE", "MAC"},
        {"PROFILE", "FIRMWARE", "MAC", "WELL", "PLATE"},
    ]


# ---- names and places


def test_names_and_places(cli: Cli, lab: Path, boards: list[SimulatedCamera]) -> None:
    result = cli.run("fleet", "rename", "a1", "Küche 1", "--json")
    assert result.code == 0
    assert [list(each) for each in result.objects] == [MEMBER_KEYS]
    assert result.objects[0]["name"] == "Küche 1"
    assert cli.run("fleet", "assign", "Küche 1", "d06", "--json").objects[0]["well"] == "D6"
    assert (
        "A2 stands at H12 of p 2"
        in cli.run("fleet", "assign", "A2", "h12", "--plate", "p 2", "--wells", "96").out
    )
    assert "no plate" in cli.run("fleet", "assign", "A2", "--nowhere").out
    assert read(lab)["plates"] == {"plate 1": {"wells": 24}, "p 2": {"wells": 96}}
    assert read(lab)["cameras"]["Küche 1"]["mac"] == boards[0].mac
    result = cli.run("fleet", "forget", "a2", "--json")
    assert result.objects[0]["name"] == "A2"
    assert list(read(lab)["cameras"]) == ["Küche 1"]


@pytest.mark.usefixtures("lab")
def test_names_work_wherever_a_camera_is_asked_for(
    cli: Cli, boards: list[SimulatedCamera], tmp_path: Path
) -> None:
    assert cli.run("status", "A1", "--json").objects[0]["camera"] == "A1"
    assert cli.run("set", "a2", "brightness=1", "--json").objects[0]["camera"] == "A2"
    assert boards[1].sensor["brightness"] == 1
    shots = cli.run("snap", "A1", "a2", "-o", "pictures/", "--json").objects
    assert {shot["camera"] for shot in shots} == {"A1", "A2"}
    assert {path.name.partition("_")[0] for path in (tmp_path / "pictures").iterdir()} == {"A1", "A2"}
    frames = cli.run("stream", "A1", "--frames", "2", "--json").objects
    assert [frame["camera"] for frame in frames] == ["A1", "A1"]
    watched = cli.run("watch", "A1", "A2", "--seconds", "1.5", "--json").objects
    assert {line["camera"] for line in watched} == {"A1", "A2"}
    env = {"ESPRESSOSCOPE_FLEET": str(tmp_path / "lab.toml")}
    (tmp_path / "elsewhere").mkdir()
    cli.folder = tmp_path / "elsewhere"
    assert cli.run("status", "A1", "--json", env=env).objects[0]["camera"] == "A1"


@pytest.mark.usefixtures("lab")
def test_an_unknown_name_is_told_with_those_there_are(cli: Cli) -> None:
    for name in ("A 3", "nosuchcamera"):
        for words in (["status", name], ["snap", name], ["stream", name], ["identify", name]):
            message = cli.fails(1, *words)
            assert "has A1, A2" in message, message


# ---- profiles


@pytest.mark.fresh
def test_a_profile_is_given_compared_and_remembered(
    cli: Cli, lab: Path, boards: list[SimulatedCamera]
) -> None:
    for board in boards:
        board.sensor.set("quality", 12)
    result = cli.run("fleet", "diff", "--profile", "leaf", "--json")
    assert result.code == 1
    assert [(each["camera"], each["setting"]) for each in result.objects if each["setting"] == "quality"] == [
        ("A1", "quality"),
        ("A2", "quality"),
    ]
    assert list(result.objects[0]) == ["camera", "setting", "asked", "actual", "ok", "message"]
    result = cli.run("fleet", "apply", "LEAF", "a1", "--keep", "--json")
    assert result.code == 0
    assert [(each["setting"], each["ok"]) for each in result.objects] == [("quality", True), ("aec", True)]
    assert (boards[0].sensor["quality"], boards[1].sensor["quality"]) == (33, 12)
    cameras = read(lab)["cameras"]
    assert (cameras["A1"]["profile"], cameras["A1"]["keep_profile"]) == ("leaf", True)
    assert "profile" not in cameras["A2"]
    result = cli.run("fleet", "diff")
    assert result.code == 0
    assert "A1: as it should be" in result.out
    assert "Without a profile, left as they are: A2" in result.err
    boards[0].sensor.set("quality", 20)
    result = cli.run("fleet", "diff")
    assert result.code == 1
    assert re.search(r"quality +33 +20", result.out)
    assert cli.run("fleet", "apply").code == 0
    assert boards[0].sensor["quality"] == 33
    assert "A1 (kept)" not in cli.run("fleet", "list").out
    assert cli.run("fleet", "apply", "leaf", "--no-keep").code == 0
    assert "keep_profile" not in read(lab)["cameras"]["A1"]


def test_one_camera_that_fails_keeps_the_others_from_nothing(
    cli: Cli, lab: Path, boards: list[SimulatedCamera]
) -> None:
    file = es.FleetFile.load(lab)
    file.add(es.CameraInfo("x", "http://127.0.0.1:9", None, None, "unknown", "given"), "dead")
    file.put_profile("odd", {"quality": 44, "sharpness": 2, "brightness": 77})
    file.save()
    result = cli.run("fleet", "apply", "odd")
    assert result.code == 1
    assert boards[0].sensor["quality"] == boards[1].sensor["quality"] == 44
    assert result.err.count("Error: ") == 1
    assert "nothing listens" in result.err
    assert "A1: 2 of 3 settings did not take" in result.out
    assert "it has no setting 'sharpness'" in result.out
    assert read(lab)["cameras"]["A2"]["profile"] == "odd"
    assert "profile" not in read(lab)["cameras"]["dead"]


@pytest.mark.fresh
def test_profiles_are_saved_listed_and_forgotten(cli: Cli, lab: Path, boards: list[SimulatedCamera]) -> None:
    boards[0].sensor.set("quality", 17)
    result = cli.run("fleet", "profile", "save", "root", "--from", "A1", "--json")
    assert result.code == 0
    assert list(result.objects[0]) == ["profile", "settings", "cameras"]
    assert result.objects[0]["settings"]["quality"] == 17
    assert result.objects[0]["cameras"] == []
    assert read(lab)["profiles"]["root"]["framesize"] == "QVGA"
    boards[2].sensor.set("quality", 18)
    assert cli.run("fleet", "profile", "save", "ROOT", "--from", boards[2].url, "--force").code == 0
    assert list(read(lab)["profiles"]) == ["leaf", "root"]
    assert read(lab)["profiles"]["root"]["quality"] == 18
    assert cli.run("fleet", "apply", "root", "A1").code == 0
    listed = cli.run("fleet", "profile", "list", "--json").objects
    assert [(each["profile"], each["cameras"]) for each in listed] == [("leaf", []), ("root", ["A1"])]
    assert re.search(r"quality +18", cli.run("fleet", "profile", "list", "Root").out)
    assert "A1 is to have root" in cli.fails(2, "fleet", "profile", "forget", "root")
    assert cli.run("fleet", "profile", "forget", "leaf", "--json").objects[0]["settings"]["quality"] == 33
    assert list(read(lab)["profiles"]) == ["root"]


# ---- identify


def lamps(board: SimulatedCamera) -> list[int]:
    return [int(found[1]) for line in board.requests if (found := re.search(r"var=lamp&val=(\d+)", line))]


@pytest.mark.usefixtures("lab")
@pytest.mark.fresh
def test_identify_blinks_and_restores(cli: Cli, boards: list[SimulatedCamera]) -> None:
    boards[0].sensor.set("lamp", 60)
    result = cli.run("identify", "A1", "--times", "2", "--json")
    assert result.code == 0
    assert result.objects == [
        {
            "camera": "A1",
            "url": boards[0].url,
            "mac": boards[0].mac,
            "firmware": "matchboxscope",
            "blinked": True,
        }
    ]
    assert lamps(boards[0])[-5:] == [0, 60, 0, 60, 60]
    assert boards[0].sensor["lamp"] == 60
    assert boards[0].mac in result.err


@pytest.mark.usefixtures("lab")
def test_ctrl_c_leaves_the_lamp_as_it_was(cli: Cli, boards: list[SimulatedCamera]) -> None:
    import signal

    boards[1].sensor.set("lamp", 0)
    before = len(lamps(boards[1]))
    running = cli.start("identify", "A2", "--times", "500")
    wait_until(lambda: len(lamps(boards[1])) > before + 2, 20, what="blinking")
    running.send(signal.SIGINT)
    result = running.finish(10)
    assert result.code == 130
    assert boards[1].sensor["lamp"] == 0
    assert "Stopped." in result.err


def test_a_board_without_a_lamp_says_what_else_tells_it(cli: Cli) -> None:
    with SimulatedCamera("tasmota", side_delays=False) as board:
        message = cli.fails(1, "identify", board.url)
        hidden = cli.fails(1, "identify", board.url + "/?password=swordfish")
        assert "espressoscope watch ADDRESS" in " ".join(hidden.split())
        assert "swordfish" not in hidden
        assert "no lamp that could blink" in message
        assert f"Its MAC is {board.mac}" in message
        assert "espressoscope watch" in message
        result = cli.run("identify", board.url, "--json")
        assert result.objects[0]["blinked"] is False
