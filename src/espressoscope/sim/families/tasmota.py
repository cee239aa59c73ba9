"""Tasmota with a webcam: Arduino's web server, commands instead of settings, a newcomer takes the stream.

From arendst/Tasmota ``tasmota_xdrv_driver/xdrv_81_esp32_webcam.ino`` 01154e9 and ``xdrv_01_9_webserver.ino``.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from espressoscope.sim.arduino import ArduinoExchange, ArduinoServer
from espressoscope.sim.families.common import atoi, maybe_bad_json
from espressoscope.sim.stream import LAYOUT_E, TASMOTA_BOUNDARY, run_stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.sim.board import Board

__all__ = ["tasmota"]

_VERSION: Final = "13.1.0"
_STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=" + TASMOTA_BOUNDARY + b"\r\n\r\n"
)
_PICTURE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\nContent-disposition: inline; filename=cap.jpg\r\nContent-type: image/jpeg\r\n\r\n"
)
_HEADERS: Final = {
    "Server": f"Tasmota/{_VERSION} (ESP32-D0WD-V3 v3.0)",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Expires": "-1",
}

_LARGEST: Final = 13  # FRAMESIZE_FHD - 1

# Command behind the prefix WC: sensor variable, smallest and largest value, answered by ON or OFF.
_COMMANDS: Final[Mapping[str, tuple[str, int, int, bool]]] = {
    "Resolution": ("framesize", 0, _LARGEST, False),
    "Mirror": ("hmirror", 0, 1, True),
    "Flip": ("vflip", 0, 1, True),
    "Saturation": ("saturation", -2, 2, False),
    "Brightness": ("brightness", -2, 2, False),
    "Contrast": ("contrast", -2, 2, False),
    "SpecialEffect": ("special_effect", 0, 6, False),
    "AWB": ("awb", 0, 1, True),
    "WBMode": ("wb_mode", 0, 4, False),
    "AWBGain": ("awb_gain", 0, 1, True),
    "AEC": ("aec", 0, 1, True),
    "AECValue": ("aec_value", 0, 1200, False),
    "AELevel": ("ae_level", -2, 2, False),
    "AECDSP": ("aec2", 0, 1, True),
    "AGC": ("agc", 0, 1, True),
    "AGCGain": ("agc_gain", 0, 30, False),
    "GainCeiling": ("gainceiling", 0, 6, False),
    "GammaCorrect": ("raw_gma", 0, 1, True),
    "LensCorrect": ("lenc", 0, 1, True),
    "WPC": ("wpc", 0, 1, True),
    "DCW": ("dcw", 0, 1, True),
    "BPC": ("bpc", 0, 1, True),
    "Colorbar": ("colorbar", 0, 1, True),
}
_SPELLING: Final = {f"wc{name}".lower(): name for name in _COMMANDS}


def tasmota(board: Board) -> list[ArduinoServer]:
    """Give Tasmota's two servers."""
    firmware = _Firmware(board)
    timeout_s = 2 * board.options.send_timeout_s  # WiFiClient::write: ten tries of a second
    seen = board.device.requests.append
    pictures = dict.fromkeys(("/wc.jpg", "/wc.mjpeg", "/snapshot.jpg"), firmware.picture)
    streams = dict.fromkeys(("/cam.mjpeg", "/cam.jpg", "/stream"), firmware.stream)
    firmware.control_server = ArduinoServer(
        board.host,
        board.port,
        {"/": firmware.root, "/cm": firmware.command, **pictures},
        firmware.not_found,
        firmware.main_loop,
        timeout_s,
        seen,
    )
    firmware.stream_server = ArduinoServer(
        board.host,
        board.stream_port,
        {"/": firmware.stream_root, **streams},
        firmware.stream_not_found,
        firmware.main_loop,
        timeout_s,
        seen,
    )
    return [firmware.control_server, firmware.stream_server]


class _LoopBound:
    """The stream's connection: frames are written within the main loop, which does nothing else meanwhile."""

    def __init__(self, exchange: ArduinoExchange, main_loop: asyncio.Lock) -> None:
        self.sock = exchange.sock
        self._exchange = exchange
        self._main_loop = main_loop

    async def write(self, data: bytes | memoryview) -> None:
        async with self._main_loop:
            await self._exchange.write(data)


class _Firmware:
    control_server: ArduinoServer
    stream_server: ArduinoServer

    def __init__(self, board: Board) -> None:
        self.board = board
        self.device = board.device
        self.main_loop = asyncio.Lock()
        self.streaming = 1

    # --- port 80

    async def root(self, exchange: ArduinoExchange) -> None:
        url = self.board.stream_url_seen_by(exchange.sock)
        page = (
            f"<!DOCTYPE html><html><head><title>{self.device.name} - Main Menu</title></head><body>"
            f"<h3>Tasmota</h3><img src='{url}stream' alt='Webcam stream' style='width:99%;'>"
            f"<p>Tasmota {_VERSION} by Theo Arends, simulated</p></body></html>"
        )
        await exchange.send_chunked(200, "text/html", page, _HEADERS)

    async def not_found(self, exchange: ArduinoExchange) -> None:
        arguments = "".join(f" {name}: {value}\n" for name, value in exchange.arguments.items())
        text = (
            f"File Not Found\n\nURI: {exchange.path}\nMethod: {exchange.method}\n"
            f"Arguments: {len(exchange.arguments)}\n{arguments}"
        )
        await exchange.send_chunked(404, "text/plain", text, _HEADERS)

    async def picture(self, exchange: ArduinoExchange) -> None:
        await exchange.write(_PICTURE_HEAD)
        if atoi(exchange.arguments.get("p", "0")):
            return  # an empty place of the picture store
        for _ in range(1 if self.device.active_streams else 3):  # "fetch some more frames"
            shot = await self.device.take_single()
        self.device.captured.enter(shot.number, shot.jpeg)
        await exchange.write(shot.jpeg)

    async def command(self, exchange: ArduinoExchange) -> None:
        text = exchange.arguments.get("cmnd", "").strip()
        reply = await self._run(text) if text else '{"WARNING":"Enter command cmnd="}'
        await exchange.send_chunked(200, "application/json", maybe_bad_json(self.device, reply), _HEADERS)

    async def _run(self, text: str) -> str:
        word, _, value = text.partition(" ")
        word, value = word.lower(), value.strip()
        if word in ("backlog", "backlog0"):
            for part in filter(None, (part.strip() for part in value.split(";"))):
                await self._run(part)
            return "{}"
        if word == "status":
            return self._status(value)
        if word == "wc":
            return self._all_settings()
        if word == "wcstream":
            if value in ("0", "1"):
                self._switch_stream(int(value))
            return f'{{"WCStream":"{"ON" if self.streaming else "OFF"}"}}'
        if word == "restart" and value == "1":
            self.board.crash(after_s=2.0)
            return '{"Restart":"Restarting"}'
        name = _SPELLING.get(word)
        if name is None:
            return '{"Command":"Unknown"}'
        var, low, high, state = _COMMANDS[name]
        number = {"on": 1, "off": 0}.get(value.lower(), atoi(value)) if value else low - 1
        if low <= number <= high:
            await self.device.set(var, number)
        now = self.device.sensor[var]
        return f'{{"WC{name}":"{"ON" if now else "OFF"}"}}' if state else f'{{"WC{name}":{now}}}'

    def _all_settings(self) -> str:
        sensor = self.device.sensor
        values = {"Stream": self.streaming}
        values |= {name: sensor[var] for name, (var, *_) in _COMMANDS.items()}
        values |= {"Feature": 0, "Auth": 0}
        return '{"WC":{' + ",".join(f'"{name}":{value}' for name, value in values.items()) + "}}"

    def _switch_stream(self, on: int) -> None:
        self.streaming = on
        if on:
            self.stream_server.listen()
        else:
            self.stream_server.drop_kept()
            self.stream_server.close_listener()

    def _status(self, value: str) -> str:
        device = self.device
        tail = device.mac.replace(":", "")[-6:]
        seconds = device.uptime_us // 1_000_000
        address = self.board.host if self.board.host != "0.0.0.0" else "127.0.0.1"
        parts = {
            "": f'"Status":{{"Module":0,"DeviceName":"{device.name}","FriendlyName":["{device.name}"],'
            f'"Topic":"tasmota_{tail}","ButtonTopic":"0","Power":0,"PowerOnState":3,"LedState":1}}',
            "2": f'"StatusFWR":{{"Version":"{_VERSION}(tasmota32-webcam)","BuildDateTime":"2023-08-15T13:02",'
            '"Core":"2_0_11","SDK":"v4.4.5","CpuFrequency":240,"Hardware":"ESP32-D0WD-V3 v3.0"}',
            "5": f'"StatusNET":{{"Hostname":"tasmota-{tail}-{int(tail, 16) & 0x1FFF:04d}",'
            f'"IPAddress":"{address}","Gateway":"192.168.4.254","Subnetmask":"255.255.255.0",'
            f'"Mac":"{device.mac}","Webserver":2,"HTTP_API":1,"WifiConfig":4,"WifiPower":17.0}}',
            "11": f'"StatusSTS":{{"Uptime":"{_uptime(seconds)}","UptimeSec":{seconds},"Heap":150,"SleepMode":'
            '"Dynamic","Sleep":50,"LoadAvg":19,"Wifi":{"AP":1,"SSId":"Blynk","RSSI":96,"Signal":-52}}',
        }
        if value == "0":
            return "{" + ",".join(parts.values()) + "}"
        return "{" + parts.get(value, parts[""]) + "}"

    # --- port 81

    async def stream_root(self, exchange: ArduinoExchange) -> None:
        await exchange.send(302, "text/html", headers={"Location": "/cam.mjpeg"})

    async def stream_not_found(self, exchange: ArduinoExchange) -> None:
        await exchange.send(404, "text/html", f"Not found: {exchange.path}")

    async def stream(self, exchange: ArduinoExchange) -> None:
        self.stream_server.keep(exchange, partial(self._send_stream, exchange))

    async def _send_stream(self, exchange: ArduinoExchange) -> None:
        connection = _LoopBound(exchange, self.main_loop)
        await connection.write(_STREAM_HEAD)
        await run_stream(self.device, connection, LAYOUT_E)


def _uptime(seconds: int) -> str:
    days, rest = divmod(seconds, 86400)
    return f"{days}T{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
