"""What each simulated firmware family says, compared with PROTOCOL."""

from __future__ import annotations

import gzip
import io
import json
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from sim_clients import Answer, ChunkedStream, Wire, control, get

from espressoscope.sim import SimulatedCamera, read_strip
from espressoscope.tables.framesizes import index_of
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE = (
    '{"lamp":0,"autolamp":0,"min_frame_time":0,"framesize":9,"quality":12,"xclk":8,"brightness":0,"contrast":0,'
    '"saturation":0,"sharpness":0,"special_effect":0,"wb_mode":0,"awb":1,"awb_gain":1,"aec":1,"aec2":0,'
    '"ae_level":0,"aec_value":204,"agc":1,"agc_gain":0,"gainceiling":0,"bpc":0,"wpc":1,"raw_gma":1,"lenc":1,'
    '"vflip":0,"hmirror":0,"dcw":1,"colorbar":0,"cam_name":"Matchboxscope","code_ver":"V","rotate":"0",'
    '"stream_url":"U","sd_card":0,"isStack":"0","images_served":"0","isTimelapseGeneral":"0",'
    '"anglerfishSlider":"1","focusSlider":"1","timelapseInterval":"-1","autofocusInterval":"0"}'
)
BOUNDARY = "123456789000000000000987654321"


def image_of(jpeg: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.fixture(scope="module")
def matchboxscope() -> Iterator[SimulatedCamera]:
    with SimulatedCamera(side_delays=False) as camera:
        yield camera


# --- Matchboxscope


def test_status_byte_for_byte(matchboxscope: SimulatedCamera) -> None:
    body = get(matchboxscope.url, "/status").body.decode()
    shown = re.sub(r'"code_ver":"[^"]*"', '"code_ver":"V"', body)
    shown = shown.replace(matchboxscope.stream_url, "U")
    assert shown == SAMPLE


def test_capture_has_a_new_number_each_time(matchboxscope: SimulatedCamera) -> None:
    numbers = []
    for _ in range(3):
        answer = get(matchboxscope.url, "/capture")
        assert answer.lines == [
            "HTTP/1.1 200 OK",
            "Content-Type: image/jpeg",
            f"Content-Length: {len(answer.body)}",
            "Content-Disposition: inline; filename=capture.jpg",
            "Access-Control-Allow-Origin: *",
        ]
        reading = read_strip(image_of(answer.body))
        assert reading is not None
        numbers.append(reading.frame)
        assert matchboxscope.captured[-1] == (reading.frame, answer.body)
    assert numbers == sorted(set(numbers))


def test_first_picture_after_a_change_may_still_be_old(matchboxscope: SimulatedCamera) -> None:
    """Two buffers, CAMERA_GRAB_LATEST: the frame at hand was begun before the change."""
    assert control(matchboxscope, "framesize", index_of("N5", "QVGA")) == 200
    sizes = [image_of(get(matchboxscope.url, "/capture").body).shape[:2] for _ in range(3)]
    assert sizes[-1] == (240, 320)
    assert control(matchboxscope, "framesize", index_of("N5", "SVGA")) == 200
    sizes = [image_of(get(matchboxscope.url, "/capture").body).shape[:2] for _ in range(3)]
    assert sizes[0] in ((240, 320), (600, 800))
    assert sizes[1:] == [(600, 800)] * 2


@pytest.mark.parametrize(
    ("query", "status", "ending"),
    [
        ("?var=quality&val=10", 200, "open"),
        ("?var=nonsense&val=1", 500, "open"),
        ("?var=sharpness&val=1", 500, "open"),
        ("?var=brightness&val=-3", 500, "open"),
        ("?var=lamp&val=500", 200, "open"),
        ("?var=save_prefs&val=", 200, "open"),
        ("?var=mFocusUp&val=1", 200, "open"),
        ("?var=ssid&val=MyNet", 200, "open"),
        ("?var=quality", 404, "fin"),
        ("?val=1", 404, "fin"),
        ("", 404, "fin"),
        ("?var=quality&val=" + "1" * 32, 404, "fin"),
    ],
)
def test_control_codes(matchboxscope: SimulatedCamera, query: str, status: int, ending: str) -> None:
    with Wire(matchboxscope.url) as wire:
        assert wire.get("/control" + query).status == status
        assert wire.ending(0.2) == ending


def test_lamp_is_clamped_and_reported(matchboxscope: SimulatedCamera) -> None:
    for asked, told in ((150, 100), (-3, 0), (40, 40)):
        assert control(matchboxscope, "lamp", asked) == 200
        assert json.loads(get(matchboxscope.url, "/status").body)["lamp"] == told


def test_focus_motor_moves(matchboxscope: SimulatedCamera) -> None:
    before = matchboxscope.sensor.focus_position
    assert control(matchboxscope, "mFocusUp", 1) == 200
    wait_until(
        lambda: abs(matchboxscope.sensor.focus_position - before - 50) < 0.5, what="fifty steps upwards"
    )


def test_autofocus_answers_when_it_is_done(matchboxscope: SimulatedCamera) -> None:
    matchboxscope.sensor.motor.move_by(70 - matchboxscope.sensor.motor.offset)
    wait_until(lambda: matchboxscope.sensor.motor.busy_s == 0, what="the stage out of focus")
    assert control(matchboxscope, "autofocus", "-100;100;5") == 200
    assert matchboxscope.sensor.motor.busy_s == 0
    assert abs(matchboxscope.sensor.motor.offset) <= 5


def test_side_pages(matchboxscope: SimulatedCamera) -> None:
    url, stream = matchboxscope.url, matchboxscope.stream_url
    assert get(url, "/mac").body == b'{"mac":1073421184,}'
    info = get(stream, "/info")
    assert json.loads(info.body) == {"cam_name": "Matchboxscope", "rotate": "0", "stream_url": stream}
    assert get(url, "/info").status == 404
    dump = get(url, "/dump")
    assert dump.header("Content-Encoding") == "identity"
    assert dump.header("Access-Control-Allow-Origin") is None
    text = dump.body.decode()
    assert f"MAC: {matchboxscope.mac}<br>" in text
    assert re.search(r"^Up: \d+:\d\d:\d\d:\d\d \(d:h:m:s\)<br>$", text, re.MULTILINE)
    assert re.search(r"^Rssi: -\d+<br>$", text, re.MULTILINE)
    assert get(url, "/files").body == b"File not found"
    assert get(url, "/downloadfile").body == b"Invalid request"
    assert get(url, "/bitmap").status == 404
    assert get(url, "/").header("Content-Type") == "text/html"
    assert get(url, "/?view=simple").status == 200
    assert get(url, "/?view=sideways").status == 404
    assert get(stream, "/view").status == 200
    for path in ("/style.css", "/favicon-16x16.png", "/favicon-32x32.png", "/favicon.ico", "/logo.svg"):
        assert get(url, path).header("Content-Encoding") == "identity"
    for path in ("/favicon-16x16.png", "/favicon-32x32.png", "/favicon.ico"):
        Image.open(io.BytesIO(get(url, path).body)).load()


def test_anglerfish_without_card_answers_what_is_no_json(matchboxscope: SimulatedCamera) -> None:
    answer = get(matchboxscope.url, "/anglerfishmode")
    assert answer.header("Content-Type") == "application/json"
    assert answer.body.startswith(b"{SD card not initialized")


def test_upload_never_answers(matchboxscope: SimulatedCamera) -> None:
    with Wire(matchboxscope.url) as wire:
        wire.ask("/uploadgithub")
        assert wire.silent(0.5)


def test_capture_pauses_the_stream_and_lets_it_go_on(matchboxscope: SimulatedCamera) -> None:
    with ChunkedStream(matchboxscope.stream_url) as stream:
        stream.frame()
        assert get(matchboxscope.url, "/capture").status == 200
        for _ in range(3):
            assert read_strip(image_of(stream.frame()[1])) is not None


def test_min_frame_time_slows_the_stream() -> None:
    with SimulatedCamera(framesize="QVGA", fps=100, prerender=True, side_delays=False) as camera:
        assert control(camera, "min_frame_time", 300) == 200
        with ChunkedStream(camera.stream_url) as stream:
            stream.frame()
            started = time.monotonic()
            for _ in range(3):
                stream.frame()
            assert time.monotonic() - started > 0.7


def test_min_frame_time_above_two_seconds_ends_the_stream_for_good() -> None:
    with SimulatedCamera(framesize="QVGA", side_delays=False) as camera:
        assert control(camera, "min_frame_time", 2001) == 200
        with ChunkedStream(camera.stream_url) as stream:
            stream.frame()
            stream.rest_until_silent(0.5)
            assert stream.silent(2.5)


# --- easytarget


def test_easytarget_is_matchboxscope_without_its_extras() -> None:
    with SimulatedCamera("easytarget", framesize="QVGA", side_delays=False) as camera:
        keys = list(json.loads(get(camera.url, "/status").body))
        assert keys[0] == "lamp"
        assert keys[-1] == "stream_url"
        assert get(camera.url, "/mac").status == 404
        assert control(camera, "focusSlider", 1) == 500
        with ChunkedStream(camera.stream_url) as stream:
            assert read_strip(image_of(stream.frame()[1])) is not None


# --- CameraWebServer


def test_camerawebserver() -> None:
    with SimulatedCamera("camerawebserver", side_delays=False) as camera:
        status = json.loads(get(camera.url, "/status").body)
        assert list(status)[:5] == ["0xd3", "0x111", "0x132", "xclk", "pixformat"]
        assert list(status)[-1] == "led_intensity"
        assert "vflip" not in status
        assert status["framesize"] == index_of("N6", "QVGA")
        capture = get(camera.url, "/capture")
        assert re.fullmatch(r"\d+\.\d{6}", capture.header("X-Timestamp") or "")
        bmp = get(camera.url, "/bmp")
        assert bmp.header("Content-Type") == "image/x-windows-bmp"
        assert Image.open(io.BytesIO(bmp.body)).size == (320, 240)
        assert control(camera, "led_intensity", 255) == 200
        assert control(camera, "lamp", 1) == 500
        assert control(camera, "xclk", 10) == 500
        assert get(camera.url, "/xclk?xclk=10").status == 200
        assert json.loads(get(camera.url, "/status").body)["xclk"] == 10
        assert get(camera.url, "/xclk?xclk=99").status == 500
        assert get(camera.url, "/xclk").status == 404
        assert get(camera.url, "/reg?reg=211&mask=255&val=8").status == 200
        assert get(camera.url, "/greg?reg=211&mask=255").body == b"8"
        assert get(camera.url, "/pll?bypass=0").status == 200
        page = get(camera.url, "/")
        assert page.header("Content-Encoding") == "gzip"
        assert b"<html>" in gzip.decompress(page.body)
        assert get(camera.stream_url, "/").status == 404
        with ChunkedStream(camera.stream_url) as stream:
            stamps = [
                float(re.search(rb"X-Timestamp: (\d+\.\d{6})", stream.frame()[0])[1])  # type: ignore[index]
                for _ in range(3)
            ]
            assert stamps == sorted(set(stamps))
            assert stamps[0] < 60  # since boot
            assert stream.boundaries == 3


# --- ESPHome


def test_esphome() -> None:
    with SimulatedCamera("esphome", framesize="QVGA") as camera:
        assert camera.url + "/" == camera.stream_url
        assert get(camera.url, "/status").status == 404
        with Wire(camera.url) as wire:
            wire.ask("/")
            assert wire.read_past(b"\r\n\r\n").decode() == (
                "HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n"
                f"Content-Type: multipart/x-mixed-replace;boundary={BOUNDARY}\r\n\r\n"
            )
            assert wire.read_past(b"\r\n").decode() == f"--{BOUNDARY}\r\n"
            for _ in range(3):
                header = wire.read_past(b"\r\n\r\n").decode()
                found = re.fullmatch(r"Content-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n", header)
                assert found is not None
                assert read_strip(image_of(wire.read(int(found[1])))) is not None
                assert wire.read(36).decode() == f"\r\n--{BOUNDARY}\r\n"


# --- Tasmota


def command(camera: SimulatedCamera, text: str) -> Answer:
    with Wire(camera.url) as wire:
        wire.ask("/cm?cmnd=" + text.replace(" ", "%20"))
        head = wire.read_past(b"\r\n\r\n")
        body = wire.chunk()
        assert wire.chunk() == b""
        assert wire.ending(2.0) == "fin"
        return Answer(head, body)


def test_tasmota_commands() -> None:
    with SimulatedCamera("tasmota") as camera:
        answer = command(camera, "WcResolution 5")
        assert answer.body == b'{"WCResolution":5}'
        assert answer.lines[:2] == ["HTTP/1.1 200 OK", "Content-Type: application/json"]
        assert answer.header("Connection") == "close"
        assert (answer.header("Server") or "").startswith("Tasmota/")
        assert camera.sensor.framesize == "QVGA"
        assert command(camera, "wcresolution").body == b'{"WCResolution":5}'
        assert command(camera, "WcResolution 14").body == b'{"WCResolution":5}'  # FHD and above are refused
        assert command(camera, "WcMirror 1").body == b'{"WCMirror":"ON"}'
        assert command(camera, "WcMirror off").body == b'{"WCMirror":"OFF"}'
        assert command(camera, "WcBrightness -2").body == b'{"WCBrightness":-2}'
        assert command(camera, "WcQuality 10").body == b'{"Command":"Unknown"}'
        assert command(camera, "Backlog WcFlip 1; WcContrast 1").body == b"{}"
        settings = json.loads(command(camera, "Wc").body)["WC"]
        assert (settings["Flip"], settings["Contrast"], settings["Resolution"]) == (1, 1, 5)
        assert json.loads(command(camera, "Status 5").body)["StatusNET"]["Mac"] == camera.mac
        assert json.loads(command(camera, "Status 0").body)["Status"]["DeviceName"] == "Tasmota"
        assert "WARNING" in json.loads(command(camera, "").body)


def test_tasmota_picture_ends_with_the_connection() -> None:
    with SimulatedCamera("tasmota", framesize="QVGA") as camera, Wire(camera.url) as wire:
        wire.ask("/wc.jpg")
        assert wire.read_past(b"\r\n\r\n") == (
            b"HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\n"
            b"Content-type: image/jpeg\r\n\r\n"
        )
        jpeg = wire.rest_until_silent(5.0)
        assert read_strip(image_of(jpeg)) is not None
        assert camera.captured[-1].jpeg == jpeg


def test_tasmota_newcomer_takes_the_stream() -> None:
    with SimulatedCamera("tasmota", framesize="QVGA") as camera:
        assert get(camera.stream_url, "/").header("Location") == "/cam.mjpeg"
        with Wire(camera.stream_url) as first:
            tasmota_frame(first, start="/stream")
            with Wire(camera.stream_url) as second:
                tasmota_frame(second, start="/cam.mjpeg")
                first.rest_until_silent(2.0)
                assert first.ending(1.0) in ("fin", "reset")
                for _ in range(3):
                    tasmota_frame(second)


def test_tasmota_waits_for_one_silent_client_while_others_wait() -> None:
    with (
        SimulatedCamera("tasmota", framesize="QVGA") as camera,
        Wire(camera.url) as silent,
        Wire(camera.url) as other,
    ):
        other.ask("/cm")
        assert other.silent(1.0)
        assert silent.ending(6.0) == "fin"
        other.sock.settimeout(5)
        assert other.read_past(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK")


def tasmota_frame(wire: Wire, start: str | None = None) -> None:
    boundary = "e8b8c539-047d-4777-a985-fbba6edff11e"
    if start is not None:
        wire.ask(start)
        assert wire.read_past(b"\r\n\r\n").decode() == (
            f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary={boundary}\r\n\r\n"
        )
    head = wire.read_past(b"\r\n\r\n").decode()
    pattern = rf"--{boundary}\r\nContent-Type: image/jpeg\r\nContent-Length: (\d+)\r\n\r\n"
    found = re.fullmatch(pattern, head)
    assert found is not None, head
    assert read_strip(image_of(wire.read(int(found[1])))) is not None
    assert wire.read(2) == b"\r\n"


def test_tasmota_answers_unknown_paths_at_length() -> None:
    with SimulatedCamera("tasmota", framesize="QVGA") as camera:
        with Wire(camera.url) as wire:
            wire.ask("/status?x=1")
            assert wire.read_past(b"\r\n\r\n").startswith(b"HTTP/1.1 404 Not Found\r\n")
            assert wire.chunk().startswith(b"File Not Found\n\nURI: /status\nMethod: GET\nArguments: 1\n")
        assert get(camera.stream_url, "/nothing").body == b"Not found: /nothing"


def test_capture_waits_for_a_stream_whose_reader_does_not_read() -> None:
    with SimulatedCamera(framesize="VGA", fps=200, send_timeout_s=0.5, prerender=True) as camera:
        camera.prepare()
        with Wire(camera.stream_url) as stalled:
            stalled.ask("/")
            wait_until(lambda: len(camera.sent) > 20, what="a stream")
            assert get(camera.url, "/capture").status == 200
            # Buffers full, two send timeouts: the stream ends, and with it the wait for it.
            last = camera.captured[-1].number
            wait_until(lambda: camera.sent[-1].number < last or not_sending(camera), what="a stalled stream")
            assert get(camera.url, "/capture").status == 200


def not_sending(camera: SimulatedCamera) -> bool:
    before = camera.sent.total
    time.sleep(0.2)
    return camera.sent.total == before
