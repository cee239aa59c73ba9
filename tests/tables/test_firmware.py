"""tables.firmware: what each family's /status is recognised by, and that the facts hang together."""

from __future__ import annotations

import json

import pytest

from espressoscope.tables.firmware import FAMILIES, UNKNOWN, family_of, recognise_status, sensor_of
from espressoscope.tables.framesizes import NUMBERINGS, SENSOR_LARGEST
from espressoscope.tables.settings import specs_for

# main/app_httpd.cpp of matchboxscope-simplecamera, status_handler: keys in its order.
MATCHBOXSCOPE = json.loads(
    '{"lamp":0,"autolamp":0,"min_frame_time":0,"framesize":9,"quality":12,"xclk":8,"brightness":0,"contrast":0,'
    '"saturation":0,"sharpness":0,"special_effect":0,"wb_mode":0,"awb":1,"awb_gain":1,"aec":1,"aec2":0,'
    '"ae_level":0,"aec_value":204,"agc":1,"agc_gain":0,"gainceiling":0,"bpc":0,"wpc":1,"raw_gma":1,"lenc":1,'
    '"vflip":0,"hmirror":0,"dcw":1,"colorbar":0,"cam_name":"Matchboxscope",'
    '"code_ver":"Aug 18 2024 @ 09:18:49",'
    '"rotate":"0","stream_url":"http://192.168.4.1:81/","sd_card":0,"isStack":"0","images_served":"0",'
    '"isTimelapseGeneral":"0","anglerfishSlider":"1","focusSlider":"1","timelapseInterval":"-1",'
    '"autofocusInterval":"0"}'
)
# The tutorial's own example.
TUTORIAL = {
    "lamp": 100,
    "autolamp": 1,
    "min_frame_time": 0,
    "framesize": 8,
    "cam_name": "Matchboxscope",
    "code_ver": "Apr 17 2023 @ 09:18:49",
    "rotate": "0",
    "stream_url": "http://192.168.137.69:81/",
    "anglerfishSlider": "1",
}
_LAST_OF_EASYTARGET = list(MATCHBOXSCOPE).index("stream_url") + 1
EASYTARGET = dict(list(MATCHBOXSCOPE.items())[:_LAST_OF_EASYTARGET]) | {"cam_name": "ESP32 camera server"}
# Keys of status_handler in arduino-esp32's app_httpd.cpp.
_SENSOR_KEYS = (
    "xclk pixformat framesize quality brightness contrast saturation sharpness special_effect wb_mode awb "
    "awb_gain aec aec2 ae_level aec_value agc agc_gain gainceiling bpc wpc raw_gma lenc hmirror dcw colorbar"
)
_ARDUINO = dict.fromkeys(_SENSOR_KEYS.split(), 0)
ARDUINO_3 = {"0xd3": 4, "0x111": 0, "0x132": 0, **_ARDUINO, "led_intensity": 0}
ARDUINO_3_OV5640 = {"0x3400": 1024, "0x3402": 4294967295, **_ARDUINO, "led_intensity": 4294967295}
ARDUINO_2 = {**ARDUINO_3, "face_detect": 0, "face_enroll": 0, "face_recognize": 0}
ARDUINO_1 = {key: value for key, value in _ARDUINO.items() if key not in ("xclk", "pixformat")} | {
    "vflip": 0,
    "face_detect": 0,
    "face_enroll": 0,
    "face_recognize": 0,
}
ESP_WHO = {**ARDUINO_2, "board": "ESP32-CAM"}
# abratchik/esp32-cam-webserver: no MJPEG stream, and the only JSON that names the sensor.
ABRATCHIK = {
    **{"cam_name": "ESP32 camera server", "rssi": -50, "framesize": 8, "frame_rate": 12, "rotate": 0},
    **{"cam_pid": 38, "cam_ver": 66, "autolamp": False, "pwm": []},
}
OLD_MATCHBOXSCOPE = {"framesize": 9, "quality": 12}
OMNISCOPE = {"omniscope": "Mar 12 2023 10:11:12"}

SAMPLES = [
    (MATCHBOXSCOPE, "matchboxscope"),
    (TUTORIAL, "matchboxscope"),
    (EASYTARGET, "easytarget"),
    (ARDUINO_3, "camerawebserver"),
    (ARDUINO_3_OV5640, "camerawebserver"),
    (ARDUINO_2, "camerawebserver"),
    (ARDUINO_1, "camerawebserver"),
    (ESP_WHO, "camerawebserver"),
    (ABRATCHIK, "unknown"),
    (OLD_MATCHBOXSCOPE, "unknown"),
    (OMNISCOPE, "unknown"),
    ({"cam_name": "mine"}, "unknown"),
]


@pytest.mark.parametrize(("status", "family"), SAMPLES)
def test_each_family_is_recognised_by_its_status(status, family):
    assert recognise_status(status) == family


def test_the_order_of_keys_does_not_matter():
    assert recognise_status(dict(reversed(MATCHBOXSCOPE.items()))) == "matchboxscope"


@pytest.mark.parametrize(
    "other",
    [
        {},  # also what an easytarget says whose camera failed
        {"printer": "HP LaserJet", "status": "ready", "toner": 60, "quality": "draft"},
        {"uptime": 1234, "hostname": "router", "wan": {"ip": "10.0.0.1"}, "name": "router"},
        {"result": [], "status": "ok"},
        {"brightness": 100, "contrast": 50, "lamp": 1},  # a projector
        {"framesize": 1500},
        {"Status": {"Module": 1}, "StatusNET": {"Hostname": "tasmota"}},
        {"state": "idle", "resolution": "640x480", "fps": 30},
    ],
)
def test_printers_routers_and_others_are_no_cameras(other):
    assert recognise_status(other) is None


@pytest.mark.parametrize(
    ("status", "sensor"),
    [
        (ARDUINO_3, "OV2640"),
        (ARDUINO_3_OV5640, "OV5640"),
        (ABRATCHIK, "OV2640"),
        ({"cam_pid": 0x3660}, "OV3660"),
        ({"cam_pid": 0x5640}, "OV5640"),
        ({"cam_pid": 0x9D}, None),
        ({"cam_pid": "38"}, None),
        ({"cam_pid": ["hostile"]}, None),
        (MATCHBOXSCOPE, None),
        ({}, None),
    ],
)
def test_the_sensor_is_told_where_it_can_be(status, sensor):
    assert sensor_of(status) == sensor


@pytest.mark.parametrize("family", [*FAMILIES.values(), UNKNOWN], ids=lambda family: family.name)
def test_the_facts_of_a_family_hang_together(family):
    assert family_of(family.name) is family
    assert family.numbering in NUMBERINGS
    assert family.sensor in SENSOR_LARGEST
    assert family.stream_path.startswith("/")
    for path in (family.snapshot_path, family.status_path):
        assert path is None or path.startswith("/")
    for port in (family.control_port, family.stream_port):
        assert 0 < port < 65536
    assert bool(specs_for(family.name, family.sensor, family.numbering)) == (family.control != "none")
    assert (family.status_command is not None) == (family.control == "tasmota")
    assert not (family.status_path and family.status_command), "one way to read the settings back"
    assert family.evidence
    names = {spec.name for spec in specs_for(family.name, family.sensor, family.numbering)}
    assert family.app_settings <= names


def test_the_families_are_those_of_the_contract():
    assert list(FAMILIES) == ["matchboxscope", "easytarget", "camerawebserver", "esphome", "tasmota"]
    assert all(name == family.name for name, family in FAMILIES.items())
    assert family_of("nobody's") is UNKNOWN


def test_where_the_families_listen():
    listens = {name: (family.stream_port, family.stream_path) for name, family in FAMILIES.items()}
    assert listens == {
        "matchboxscope": (81, "/"),
        "easytarget": (81, "/"),
        "camerawebserver": (81, "/stream"),
        "esphome": (8080, "/"),
        "tasmota": (81, "/stream"),
    }
    assert [name for name, family in FAMILIES.items() if family.stamps_frames] == ["camerawebserver"]
    assert [name for name, family in FAMILIES.items() if family.newcomer_steals] == ["tasmota"]


def test_what_is_reported_can_be_set_by_its_reported_name():
    """Every key of the sample that a setting reads is one setting's, and no sensor key is left over."""
    keys = {spec.status_key for spec in specs_for("matchboxscope", "OV2640", "N5")}
    told = {
        "cam_name",
        "code_ver",
        "stream_url",
        "sd_card",
        "images_served",
        "anglerfishSlider",
        "focusSlider",
    }
    assert set(MATCHBOXSCOPE) - told - {"sharpness"} == keys - {None}
