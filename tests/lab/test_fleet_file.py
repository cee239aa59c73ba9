"""The fleet file: what it says, how it changes, what is wrong with a broken one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from espressoscope.errors import FleetFileError
from espressoscope.lab.entries import mac_of
from espressoscope.lab.fleet_file import FleetFile, fleet_file_path
from espressoscope.lab.plates import wells
from espressoscope.model import CameraInfo

LAB = """\
# Incubator 3, ask Ada before you change anything.
operator = "Ada"

[cameras.A1]          # upper left
mac = "24:0a:c4:00:00:01"
url = "http://10.0.0.20"
firmware = "matchboxscope"
profile = "leaf"
keep_profile = true
plate = "plate 1"
well = "A1"
bought = 2024-05-01   # unknown here

# This one has a password.
[cameras."Küche links"]
url = "http://ada:s%26cret@10.0.0.21:8080"

[plates."plate 1"]
wells = 24
medium = "LB"

[profiles.leaf]
framesize = "VGA"
aec = false
aec_value = 300
"""


def camera(number: int, name: str = "Matchboxscope", **other: Any) -> CameraInfo:
    known = {"mac": f"02:E5:00:00:00:{number:02X}", "url": f"http://10.0.1.{number}", **other}
    return CameraInfo(name, known["url"], None, known["mac"], "matchboxscope", "scan")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "lab.toml"
    file.write_text(LAB, encoding="utf-8")
    return file


@pytest.fixture
def lab(path: Path) -> FleetFile:
    return FleetFile.load(path)


def saved(lab: FleetFile) -> str:
    assert lab.save()
    text = lab.path.read_text(encoding="utf-8")
    again = FleetFile.load(lab.path)
    assert (again.members, again.plates, again.profiles) == (lab.members, lab.plates, lab.profiles)
    return text


# ---- what it says


def test_what_it_says(lab: FleetFile) -> None:
    assert list(lab.members) == ["A1", "Küche links"]
    first, second = lab.members.values()
    assert (first.mac, first.url, first.firmware) == (
        "24:0A:C4:00:00:01",
        "http://10.0.0.20",
        "matchboxscope",
    )
    assert (first.profile, first.keep_profile, first.plate, first.well) == ("leaf", True, "plate 1", "A1")
    assert dict(first.settings) == {"framesize": "VGA", "aec": False, "aec_value": 300}
    assert (second.mac, second.firmware, second.profile, second.keep_profile) == (
        None,
        "unknown",
        None,
        False,
    )
    assert dict(lab.plates) == {"plate 1": 24}
    assert {name: dict(each) for name, each in lab.profiles.items()} == {"leaf": dict(first.settings)}
    assert first.info == CameraInfo(
        "A1", "http://10.0.0.20", None, "24:0A:C4:00:00:01", "matchboxscope", "remembered"
    )


def test_a_password_is_kept_and_never_shown(lab: FleetFile) -> None:
    member = lab.members["Küche links"]
    assert member.url == "http://10.0.0.21:8080"
    assert member.address is not None
    assert member.address.auth == ("ada", "s&cret")
    assert "cret" not in repr(member) + str(member.info) + repr(lab.members)
    lab.note(camera(1, url="http://10.0.0.21:8080"))
    lab.note(camera(1, url="http://10.0.0.99"))
    assert 'url = "http://ada:s%26cret@10.0.0.99"' in saved(lab)


def test_names_are_found_whatever_their_case(lab: FleetFile) -> None:
    assert lab.find("a1") is lab.members["A1"]
    assert lab.find("Ku\u0308CHE LINKS") is lab.members["Küche links"]
    assert lab.find("A2") is None


def test_cameras_are_found_by_mac_then_by_address(lab: FleetFile) -> None:
    a1, kitchen = lab.members.values()
    assert lab.find_camera(camera(9, mac=a1.mac)) is a1
    assert lab.find_camera(camera(9, url=a1.url)) is None, "another board at its address"
    assert lab.find_camera(camera(9, mac=None, url=a1.url)) is a1
    assert lab.find_camera(camera(9, url=kitchen.url)) is kitchen
    assert lab.find_camera(camera(9)) is None


# ---- changing it


def test_what_is_not_changed_stays_to_the_byte(lab: FleetFile) -> None:
    assert lab.save() is False
    assert lab.path.read_text(encoding="utf-8") == LAB
    lab.note(camera(0, mac="24:0A:C4:00:00:01", url="http://10.0.0.77"))
    assert saved(lab) == LAB.replace("10.0.0.20", "10.0.0.77")


def test_cameras_are_added_at_their_place(lab: FleetFile) -> None:
    member = lab.add(camera(2))
    assert member.name == "Matchboxscope-000002"
    assert lab.add(camera(3), " A2 ").name == "A2"
    text = saved(lab)
    assert text == LAB.replace(
        '\n[plates."plate 1"]',
        '\n[cameras.Matchboxscope-000002]\nmac = "02:E5:00:00:00:02"\nurl = "http://10.0.1.2"\n'
        'firmware = "matchboxscope"\n\n[cameras.A2]\nmac = "02:E5:00:00:00:03"\nurl = "http://10.0.1.3"\n'
        'firmware = "matchboxscope"\n\n[plates."plate 1"]',
    )


def test_a_camera_added_again_gets_its_new_address_and_keeps_its_name(lab: FleetFile) -> None:
    lab.add(camera(2), "A2")
    again = lab.add(camera(2, url="http://10.0.1.200"))
    assert (again.name, again.url) == ("A2", "http://10.0.1.200")
    with pytest.raises(ValueError, match="already, as A2"):
        lab.add(camera(2), "B2")
    assert len(lab.members) == 3


def test_names_that_are_taken_or_bad_are_refused(lab: FleetFile) -> None:
    before = dict(lab.members)
    with pytest.raises(ValueError, match="there is a camera A1 already"):
        lab.add(camera(2), "a1")
    with pytest.raises(ValueError, match="Windows"):
        lab.add(camera(2), "a/1")
    with pytest.raises(ValueError, match="there is a camera Küche links already"):
        lab.rename("A1", "küche LINKS")
    with pytest.raises(KeyError, match="no camera 'B9'; it has A1, Küche links"):
        lab.rename("B9", "B8")
    assert dict(lab.members) == before
    assert lab.save() is False


def test_many_names_are_not_all_listed(lab: FleetFile) -> None:
    for number in range(1, 30):
        lab.add(camera(number), f"N{number}")
    with pytest.raises(KeyError, match=r"it has A1, Küche links, N1, .*, N10 and 19 more"):
        lab.forget("B9")


def test_a_camera_is_renamed_in_place(lab: FleetFile) -> None:
    assert lab.rename("KÜCHE LINKS", "B 2").name == "B 2"
    assert lab.rename("a1", "a1").name == "a1", "case may be changed"
    assert saved(lab) == LAB.replace("Küche links", "B 2").replace("[cameras.A1]", "[cameras.a1]")


def test_a_camera_is_forgotten(lab: FleetFile) -> None:
    lab.forget("a1")
    text = saved(lab)
    assert text == LAB[: LAB.index("[cameras.A1]")] + LAB[LAB.index("# This one has") :]
    lab.forget("Küche links")
    assert "password" not in saved(lab)
    assert lab.members == {}


def test_wells_are_assigned_once(lab: FleetFile) -> None:
    with pytest.raises(ValueError, match="well A1 of plate 1 has A1"):
        lab.assign("Küche links", "PLATE 1", "a01")
    member = lab.assign("Küche links", well="b3")
    assert (member.plate, member.well) == ("plate 1", "B3")
    with pytest.raises(ValueError, match="no well 'E1': it has A1 to D6"):
        lab.assign("A1", well="E1")
    with pytest.raises(ValueError, match="has 24 wells, not 96"):
        lab.assign("A1", "plate 1", "A1", wells=96)
    with pytest.raises(ValueError, match="say how many wells"):
        lab.assign("A1", "plate 2", "A1")
    with pytest.raises(ValueError, match="plates of 6, 12"):
        lab.assign("A1", "plate 2", "A1", wells=7)
    assert list(lab.plates) == ["plate 1"]
    lab.assign("A1", "plate 2", "H12", wells=96)
    with pytest.raises(ValueError, match="on which plate"):
        lab.assign("A1", well="A2")
    assert dict(lab.plates) == {"plate 1": 24, "plate 2": 96}
    member = lab.assign("Küche links")
    assert (member.plate, member.well) == (None, None)
    data = tomllib.loads(saved(lab))
    assert data["cameras"]["Küche links"] == {"url": "http://ada:s%26cret@10.0.0.21:8080"}
    assert data["plates"] == {"plate 1": {"wells": 24, "medium": "LB"}, "plate 2": {"wells": 96}}


def test_with_one_plate_it_need_not_be_said_which(tmp_path: Path) -> None:
    path = tmp_path / "lab.toml"
    path.write_text("[cameras.A1]\nurl='10.0.0.1'\nwell='a1'\n[plates.p]\nwells=6\n", encoding="utf-8")
    lab = FleetFile.load(path)
    assert (lab.members["A1"].plate, lab.members["A1"].well) == ("p", "A1")
    lab.add(camera(2), "A2")
    lab.assign("A2", "q", "A1", wells=6)
    assert lab.members["A1"].plate == "p"
    saved(lab)


def test_profiles(lab: FleetFile) -> None:
    lab.put_profile("night", {"framesize": "UXGA", "lamp": 0, "odd name": 1.5})
    assert lab.set_profile("Küche links", "NIGHT", keep=True).settings["lamp"] == 0
    lab.put_profile("Leaf", {"framesize": "SVGA", "aec": False, "quality": 8})
    with pytest.raises(ValueError, match="A1 is to have leaf"):
        lab.forget_profile("leaf")
    assert lab.set_profile("A1", None).settings == {}
    lab.forget_profile("leaf")
    with pytest.raises(KeyError, match="no profile 'leaf'; it has night"):
        lab.set_profile("A1", "leaf")
    for bad in ({}, {"a": [1]}, {"a": None}, {"a": float("nan")}):
        with pytest.raises(ValueError, match=r"without settings|cannot be"):
            lab.put_profile("bad", bad)
    data = tomllib.loads(saved(lab))
    assert data["profiles"] == {"night": {"framesize": "UXGA", "lamp": 0, "odd name": 1.5}}
    assert data["cameras"]["Küche links"]["keep_profile"] is True
    assert "keep_profile" not in data["cameras"]["A1"]


def test_a_profile_keeps_its_comments_when_it_is_taken_anew(lab: FleetFile) -> None:
    lab.path.write_text(LAB.replace("aec = false", "aec = false  # compare brightness"), encoding="utf-8")
    lab = FleetFile.load(lab.path)
    lab.put_profile("leaf", {"framesize": "SVGA", "aec": False, "quality": 8})
    assert saved(lab).endswith(
        '[profiles.leaf]\nframesize = "SVGA"\naec = false  # compare brightness\nquality = 8\n'
    )


def test_24_boards_of_one_name_are_24_cameras(tmp_path: Path) -> None:
    lab = FleetFile.load(tmp_path / "lab.toml")
    names = [lab.add(camera(number)).name for number in range(24)]
    lab.save()
    lab = FleetFile.load(tmp_path / "lab.toml")
    shuffled = [camera(number, url=f"http://10.0.1.{(number * 7) % 24}") for number in reversed(range(24))]
    assert [lab.add(info).name for info in shuffled] == names[::-1]
    for name, well in zip(names, wells(24), strict=True):
        lab.assign(name, "plate", well, wells=24)
        lab.rename(name, well)
    saved(lab)
    assert list(lab.members) == [member.well for member in lab.members.values()] == list(wells(24))


def test_a_new_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lab.toml"
    lab = FleetFile.load(path)
    assert lab.members == {}
    assert lab.save() is False
    assert not path.parent.exists()
    lab.add(camera(1), "A1")
    text = saved(lab)
    assert text.startswith("# The cameras of this laboratory")
    assert text.endswith(
        '\n\n[cameras.A1]\nmac = "02:E5:00:00:00:01"\nurl = "http://10.0.1.1"\nfirmware = "matchboxscope"\n'
    )


# ---- broken files


BROKEN = [
    ("a = 1\nb = A1\n", 2, "text stands in quotes"),
    ("[cameras.A1]\nurl = '10.0.0.1\n", 2, "quote is missing"),
    ("[cameras.A1\nurl = 'x'\n", 1, "not TOML"),
    ("[cameras.A1]\nurl\n", 2, "a key and = are wanted"),
    ("# a\n[x]\ny = 1\nx = [1,\n2\n\n[cameras.A1]\n", 4, "bracket is opened"),
    ("# a\nx = {a = [1,\n2]\n", 2, "bracket is opened"),
    ('# a\nx = """b\n\n# c\n', 2, "quote is missing"),
    ("# a\nx = '''b\n\n# c\n", 2, "a quote is missing"),
    ("[cameras.A1]\nurl='x'\n[cameras.A1]\nmac='y'\n", 3, "this table stands further up"),
    ("[cameras.A1]\nurl='x'\nurl='y'\n", 3, "stands further up already"),
    ("a = 1 b = 2\n", 1, "more on this line"),
    ("x = " + "[" * 3000, None, "nested too deeply"),
    ("cameras = 3\n", 1, "cameras is no table"),
    ("# x\n\n[cameras]\nA1 = 'http://10.0.0.1'\n", 4, r"write \[cameras.A1\]"),
    ("[[cameras]]\nurl='x'\n", 1, "cameras is no table"),
    ("[cameras.A1]\n", 1, "neither url nor mac"),
    ("[cameras.A1]\nurl = 5\n", 2, "url must be text in quotes"),
    ("[cameras.A1]\nurl = 'not an address'\n", 2, "not the address of a camera"),
    ("[cameras.A1]\nurl = 'https://u:secret@x'\n", 2, "not spoken"),
    ("[cameras.A1]\nmac = '24:0A'\n", 2, "is no MAC"),
    ("[cameras.A1]\nurl='x'\nkeep_profile = 1\n", 3, "true or false"),
    (
        "[cameras.A1]\nurl='x'\nprofile = 'leaf'\n[profiles.tree]\na=1\n",
        3,
        "no profile 'leaf' in this file: it has tree",
    ),
    ("[cameras.A1]\nurl='x'\nplate = 'p'\n", 3, "no plate 'p' in this file: it has none"),
    ("[cameras.A1]\nurl='x'\nwell = 'A1'\n", 3, "there is no plate"),
    ("[cameras.A1]\nurl='x'\nwell = 'A1'\n[plates]\np={wells=6}\nq={wells=6}\n", 3, "of which plate"),
    ("[plates.p]\nwells = 24\n[cameras.A1]\nurl='x'\nplate='p'\nwell = 'E1'\n", 6, "no well 'E1'"),
    ("[plates.p]\nwells = 25\n", 2, "wells must be one of 6, 12, 24, 48, 96"),
    ("[plates.p]\nrows = 4\n", 1, "wells must be one of"),
    ("[profiles.p]\na = 1\nb = [1]\n", 3, "b must be a number"),
    ("[profiles.p]\nb = 2024-05-01\n", 2, "b must be a number"),
    ("[cameras.'a/b']\nurl='x'\n", 1, "Windows allows in no file name"),
    ("[cameras.' a']\nurl='x'\n", 1, "blanks around it"),
    ("[cameras.\"a\\u0000\"]\nurl='x'\n", 1, "invisible character U.0000"),
    ("[cameras.A1]\nurl='x'\n[cameras.a1]\nurl='y'\n", 3, "nothing but case"),
    (
        "[cameras.A1]\nmac='24:0A:C4:00:00:01'\n[cameras.A2]\nurl='x'\nmac='240ac4000001'\n",
        5,
        "A1 and A2 have the same MAC",
    ),
    (
        "[plates.p]\nwells=6\n[cameras.A1]\nurl='x'\nwell='A1'\n[cameras.A2]\nurl='y'\n\n\nwell='a01'\n",
        10,
        "well A1 of p has A1 and A2",
    ),
]


@pytest.mark.parametrize(("text", "line", "reason"), BROKEN, ids=[reason for *_, reason in BROKEN])
def test_a_broken_file_is_told_by_line_and_reason(
    path: Path, lab: FleetFile, text: str, line: int | None, reason: str
) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FleetFileError, match=reason) as caught:
        FleetFile.load(path)
    assert (caught.value.path, caught.value.line) == (str(path), line)
    assert "secret" not in str(caught.value)
    assert all(c.isprintable() for c in str(caught.value))
    lab.rename("A1", "B1")
    with pytest.raises(FleetFileError, match=reason):
        lab.save()
    assert path.read_text(encoding="utf-8") == text, "a broken file was overwritten"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        ("x = 'é'\n".encode("latin-1"), 1, "not UTF-8"),
        (b"\xef\xbb\xbfa = 1\nb = '\xff'\n", 2, "not UTF-8"),
        ("a = 1\n".encode("utf-16"), 1, "UTF-16"),
        (b"a = 1\n\0\0\0", 2, None),
        (b"#" * (1 << 20) + b"x", None, "more than 1024 KiB"),
    ],
)
def test_what_is_no_text_is_told(path: Path, data: bytes, line: int | None, reason: str | None) -> None:
    path.write_bytes(data)
    with pytest.raises(FleetFileError, match=reason) as caught:
        FleetFile.load(path)
    assert caught.value.line == line
    assert path.read_bytes() == data


def test_macs() -> None:
    assert mac_of(" 24-0a-c4-00-00-01 ") == mac_of("240AC4000001") == "24:0A:C4:00:00:01"
    for bad in (
        "",
        "24:0A:C4:00:00",
        "24:0A:C4:00:00:0G",
        "24:0A-C4:00:00:01",
        "24:0A:C4:00:00:01:02",
        "\x1b",
    ):
        with pytest.raises(ValueError, match="is no MAC"):
            mac_of(bad)


# ---- where it is


def test_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ESPRESSOSCOPE_FLEET", raising=False)
    assert fleet_file_path().parts[-2:] == ("espressoscope", "lab.toml")
    assert fleet_file_path().is_absolute()
    (tmp_path / "lab.toml").write_text(LAB, encoding="utf-8")
    assert fleet_file_path() == Path("lab.toml")
    assert list(FleetFile.load().members) == ["A1", "Küche links"]
    monkeypatch.setenv("ESPRESSOSCOPE_FLEET", str(tmp_path / "other.toml"))
    assert fleet_file_path() == tmp_path / "other.toml"
    assert FleetFile.load().members == {}
    for path in (None, "missing.toml"):
        with pytest.raises(FleetFileError, match="there is no such file"):
            FleetFile.load(path, must_exist=True)


# ---- random edits


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 5), st.sampled_from(["A1", "a/b", "B 2", "Küche", None])),
        st.tuples(st.just("rename"), st.sampled_from(["A1", "Küche links", "B 2"]), st.text(max_size=5)),
        st.tuples(
            st.just("assign"),
            st.sampled_from(["A1", "Küche links", "B 2"]),
            st.sampled_from(["plate 1", "p.2", None]),
            st.sampled_from(["A1", "b2", "H12", None]),
        ),
        st.tuples(
            st.just("set_profile"), st.sampled_from(["A1", "B 2"]), st.sampled_from(["leaf", "x", None])
        ),
        st.tuples(
            st.just("put_profile"),
            st.sampled_from(["leaf", "x", '"'] * 2),
            st.dictionaries(
                st.text(max_size=4), st.one_of(st.booleans(), st.integers(), st.text()), max_size=3
            ),
        ),
        st.tuples(st.just("note"), st.integers(0, 5), st.integers(0, 9)),
    ),
    max_size=8,
)
KEPT = [
    "# Incubator 3",
    "# upper left",
    "# unknown here",
    "# This one has",
    'operator = "Ada"',
    'medium = "LB"',
    "bought",
]


@given(EDITS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_edits_keep_comments_and_unknown_keys(tmp_path: Path, edits: list[tuple[Any, ...]]) -> None:
    path = tmp_path / "lab.toml"
    path.write_text(LAB, encoding="utf-8")
    lab = FleetFile.load(path)
    for verb, *arguments in edits:
        if verb == "add":
            arguments[0] = camera(arguments[0])
        elif verb == "note":
            arguments = [camera(arguments[0], url=f"http://10.0.2.{arguments[1]}")]
        before = (lab.members, lab.plates, lab.profiles)
        try:
            if verb == "assign":
                lab.assign(*arguments, wells=24)
            else:
                getattr(lab, verb)(*arguments)
        except (KeyError, ValueError):
            assert (lab.members, lab.plates, lab.profiles) == before
    lab.save()
    text = path.read_text(encoding="utf-8")
    again = FleetFile.load(path)
    assert (again.members, again.plates, again.profiles) == (lab.members, lab.plates, lab.profiles)
    assert [kept for kept in KEPT if kept not in text] == []
    assert list(tmp_path.iterdir()) == [path]
