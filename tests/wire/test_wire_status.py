"""Status objects of every family, and what is none."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espressoscope.errors import RemoteProtocolError
from espressoscope.wire.status import MAX_STATUS, parse_status

MATCHBOXSCOPE = (
    b'{"lamp":0,"autolamp":0,"min_frame_time":0,"framesize":9,"quality":12,"xclk":8,"brightness":0,"contrast":0,'
    b'"saturation":0,"sharpness":0,"special_effect":0,"wb_mode":0,"awb":1,"awb_gain":1,"aec":1,"aec2":0,'
    b'"ae_level":0,"aec_value":204,"agc":1,"agc_gain":0,"gainceiling":0,"bpc":0,"wpc":1,"raw_gma":1,"lenc":1,'
    b'"vflip":0,"hmirror":0,"dcw":1,"colorbar":0,"cam_name":"Matchboxscope",'
    b'"code_ver":"Aug 18 2024 @ 09:18:49",'
    b'"rotate":"0","stream_url":"http://192.168.4.1:81/","sd_card":0,"isStack":"0","images_served":"0",'
    b'"isTimelapseGeneral":"0","anglerfishSlider":"1","focusSlider":"1","timelapseInterval":"-1",'
    b'"autofocusInterval":"0"}'
)
TUTORIAL = (
    b'{"lamp":100,"autolamp":1,"min_frame_time":0,"framesize":8,"quality":10,"cam_name":"Matchboxscope",'
    b'"code_ver":"Apr 17 2023 @ 09:18:49","rotate":"0","stream_url":"http://192.168.137.69:81/",'
    b'"anglerfishSlider":"1"}'
)
CAMERAWEBSERVER = (
    b'{"0xd3":4294967295,"0x111":0,"0x132":137,"xclk":20,"pixformat":4,"framesize":10,"quality":10,"brightness":0,'
    b'"contrast":0,"saturation":0,"sharpness":-2,"special_effect":0,"wb_mode":0,"awb":1,"awb_gain":1,"aec":1,'
    b'"aec2":0,"ae_level":0,"aec_value":168,"agc":1,"agc_gain":0,"gainceiling":0,"bpc":0,"wpc":1,"raw_gma":1,'
    b'"lenc":1,"hmirror":0,"dcw":1,"colorbar":0,"led_intensity":4294967295}'
)


def test_matchboxscope() -> None:
    status = parse_status(MATCHBOXSCOPE)
    assert list(status) == list(json.loads(MATCHBOXSCOPE))
    assert status["isStack"] == 0
    assert status["timelapseInterval"] == -1
    assert status["rotate"] == "0"  # a choice of texts
    assert status["aec_value"] == 204
    assert status["cam_name"] == "Matchboxscope"


def test_tutorial_example() -> None:
    status = parse_status(TUTORIAL)
    assert status["anglerfishSlider"] == 1
    assert status["stream_url"] == "http://192.168.137.69:81/"
    assert status["code_ver"] == "Apr 17 2023 @ 09:18:49"


def test_camerawebserver_registers_and_minus_one() -> None:
    status = parse_status(CAMERAWEBSERVER)
    assert status["0xd3"] == -1
    assert status["0x132"] == 137
    assert status["led_intensity"] == -1
    assert status["sharpness"] == -2


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", {}),
        (b" \r\n{ }\x00", {}),
        (b"\xef\xbb\xbf{}", {}),
        (b'{"framesize":9,"quality":12,}', {"framesize": 9, "quality": 12}),  # matchboxscope-fw
        (b'{"mac":1073421184,}', {"mac": 1073421184}),  # Matchboxscope's /mac
        (b'{"a":1,,"b":2}', {"a": 1, "b": 2}),
        (b'{"a":true,"b":false,"c":null}', {"a": True, "b": False, "c": None}),
        (b'{"a":True,"b":NULL,"c":nan,}', {"a": True, "b": None, "c": None}),
        (b'{"a":NaN,"b":Infinity,"c":-Infinity,"d":1e999}', dict.fromkeys("abcd")),
        (b'{"a":1.5,"b":-2e3,"c":"2.5"}', {"a": 1.5, "b": -2000.0, "c": "2.5"}),
        (b'{"a":1.5,"b":-2e3,}', {"a": 1.5, "b": -2000.0}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'{"a":1,"a":2,}', {"a": 2}),
        (
            b'{"a":"007","b":"-0","c":"+1","d":"1 ","e":""}',
            {"a": "007", "b": 0, "c": "+1", "d": "1 ", "e": ""},
        ),
        (b'{"lamp":"4294967295"}', {"lamp": -1}),
        (b'{"a":123456789012345678901234567890}', {"a": None}),
        (b'{"a":' + b"9" * 5000 + b',"b":1}', {"a": "9" * 64}),
        # names without escaping: quotes, backslashes, control characters, commas, what looks like an end
        (b'{"cam_name":"My "best" cam","quality":1}', {"cam_name": 'My "best" cam', "quality": 1}),
        (b'{"cam_name":"C:\\new\\","quality":1}', {"cam_name": "C:\\new\\", "quality": 1}),
        (b'{"cam_name":"a\x1b[31m\r\n\x07","quality":1}', {"cam_name": "a\x1b[31m\r\n\x07", "quality": 1}),
        (b'{"cam_name":"a","b","quality":1}', {"cam_name": 'a","b', "quality": 1}),
        (b'{"cam_name":"a\\u00e4"b","quality":1,}', {"cam_name": 'a\\u00e4"b', "quality": 1}),
        (b'{"cam_name":"\\u00e4","quality":1,}', {"cam_name": "ä", "quality": 1}),
        (b'{"cam_name":"\xff\xfe","quality":1}', {"cam_name": "\ufffd\ufffd", "quality": 1}),
        (b'{"cam_name":"12"}', {"cam_name": "12"}),
        # Tasmota of early 2025, and its nesting
        (
            b'{s}Webcam Frame rate{m}12 FPS{e}{"Status":{"Module":0,"FriendlyName":["T"]}}',
            {"Status.Module": 0, "Status.FriendlyName.0": "T"},
        ),
        (b'{s}a{m}b{e}{s}c{e} {"x":1}', {"x": 1}),
        # broken off
        (b'{"lamp":0,"autolamp":0,"min_fr', {"lamp": 0, "autolamp": 0}),
        (b'{"lamp":0,"framesize":1', {"lamp": 0}),  # 1, or the beginning of 10
        (b'{"lamp":0,"cam_name":"Match', {"lamp": 0}),
        (b'{"lamp":0,"cam_name":"Match"', {"lamp": 0, "cam_name": "Match"}),
        # more than one, junk behind
        (b'{"a":1}{"b":2}', {"a": 1}),
        (b'{"a":1}</body>', {"a": 1}),
        (b'{"a":{"b":[{"c":"}"}]},"d":1,}', {"d": 1}),
    ],
)
def test_what_firmwares_take_for_json(body: bytes, status: dict[str, object]) -> None:
    found = parse_status(body)
    assert found == status
    assert [type(value) for value in found.values()] == [type(value) for value in status.values()]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html><body>{}</body></html>",
        b"[1,2]",
        b"null",
        b'"text"',
        b"{",
        b"{,",
        b"{s}{}",
        b"{OMNISCOPEMar 12 2023 10:11:12}",  # matchboxscope-fw's /getid
        b"{You have enabled long-time timelpase - x}",  # Matchboxscope's /anglerfishmode
        b"\xff\xd8\xff\xe0",
        b"\x00" * 100,
        b"[" * 50_000,
        b'{"a":' * 10_000,
        b'{"a":[' * 10_000,
        b"{" * 60_000,
        b'{"' * 30_000,
        b"{s}" * 20_000,
        b'{"a":1,"b":"' + b"x" * MAX_STATUS + b'"}',
    ],
)
def test_what_is_no_status(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError) as caught:
        parse_status(body)
    assert caught.value.sample == body[:64]


def test_nesting_keys_and_texts_have_ceilings() -> None:
    deep = b'{"a":' * 100 + b"1" + b"}" * 100
    assert parse_status(deep[:-1] + b',"z":1}') == {"z": 1}
    assert parse_status(b'{"a":{"b":{"c":{"d":1,"e":{"f":2}}}}}') == {"a.b.c.d": 1}
    many = json.dumps({f"k{number}": number for number in range(3000)}).encode()
    assert len(parse_status(many)) == 512
    assert len(parse_status(many.replace(b"}", b",}"))) == 512
    assert len(str(parse_status(b'{"a":"' + b"x" * 5000 + b'"}')["a"])) == 1024
    long = json.dumps({"x" * 129: dict.fromkeys("ab", 1), "y" * 128: dict.fromkeys("ab", 1)}).encode()
    assert parse_status(long) == {"y" * 128 + ".a": 1, "y" * 128 + ".b": 1}


@given(
    st.binary(max_size=300) | st.lists(st.sampled_from('{}[]",:\\ 19truenaN-.eés'), max_size=200).map("".join)
)
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_a_mapping_or_an_error(text: bytes | str) -> None:
    body = text if isinstance(text, bytes) else text.encode()
    for data in (body, b"{" + body, b'{"a":1,"' + body, b'{"a":"' + body + b'"}', b"{s}" + body):
        try:
            status = parse_status(data)
        except RemoteProtocolError:
            continue
        for key, value in status.items():
            assert isinstance(key, str)
            assert value is None or isinstance(value, (bool, int, float, str))
            json.dumps(value, allow_nan=False)


@given(
    st.dictionaries(
        st.text("abcdefgh_", min_size=1, max_size=8).filter(lambda key: key not in ("id", "name")),
        st.integers(-(2**31), 2**31)
        | st.booleans()
        | st.none()
        | st.text(max_size=20).map(lambda t: "t" + t),
        max_size=20,
    )
)
@settings(deadline=None)
def test_good_json_is_read_as_it_is_with_a_trailing_comma_too(members: dict[str, object]) -> None:
    text = json.dumps(members, ensure_ascii=False, separators=(",", ":"))
    assert parse_status(text.encode()) == members
    simple = all(
        "\\" not in value and '"' not in value for value in members.values() if isinstance(value, str)
    )
    if members and simple and "\\" not in text:
        assert parse_status(text[:-1].encode() + b",}") == members


def test_half_a_letter_is_none() -> None:
    status = parse_status(b'{"cam_name":"a\\ud83d","\\udc00":{"quality":"\\ud83d"},"whole":"\\ud83d\\ude00"}')
    assert status == {"cam_name": "a\ufffd", "\ufffd.quality": "\ufffd", "whole": "\U0001f600"}
    assert parse_status(b'{"a":"\\ud83d",') == {"a": "\ufffd"}, "broken off"


@pytest.mark.parametrize(
    "unit",
    [b'"', b'","', b'":"', b'\\"', b"{", b'":', b'"a":1,', b" ", b'"     ', b"{e}", b'["\\"', b'":{"\\"'],
)
def test_no_text_is_expensive(unit: bytes) -> None:
    # In lines executed and calls made; the regular expressions in between are bounded by their making.
    steps = 0

    def count(frame: object, event: str, argument: object) -> object:
        nonlocal steps
        steps += 1
        return count

    for begin in (b"{", b'{"a":"', b'{"a":{', b'{"a":1,"b', b"{s}"):
        data = (begin + unit * MAX_STATUS)[:MAX_STATUS]
        before = sys.gettrace()
        sys.settrace(count)  # type: ignore[arg-type]
        try:
            parse_status(data)
        except RemoteProtocolError:
            pass
        finally:
            sys.settrace(before)
    assert steps < 40 * MAX_STATUS
