"""Matchboxscope / ESPressoscope, and easytarget's esp32-cam-webserver 4 from which it grew.

From ``main/app_httpd.cpp`` of Matchboxscope/matchboxscope-simplecamera 5449fb9 and
easytarget/esp32-cam-webserver 4c9ab6e. The board is the AI-Thinker one, whose status LED takes its time,
with the focus motor of the XIAO build.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from espressoscope.sim.device import NoFrame
from espressoscope.sim.families.common import CORS, PAGE, atoi, capture_headers, control_pair, send_json
from espressoscope.sim.families.pages import dump_page, favicon, index_page, view_page
from espressoscope.sim.httpd import HttpServer, Manners, head_of
from espressoscope.sim.stream import CHUNKED_TYPE, LAYOUT_C, run_stream

if TYPE_CHECKING:
    from espressoscope.sim.board import Board
    from espressoscope.sim.httpd import Exchange, Handler

__all__ = ["easytarget", "matchboxscope"]

_LED_S: Final = 0.075
"""``flashLED(75)``: before `/control`, `/capture`, `/stop`, `/dump` and the pages."""

_LAMP_SETTLES_S: Final = 0.09
_AFTER_CAPTURE_S: Final = 0.15
"""``saveImage()`` and the frame index in flash, after the body is sent: 0.1 to 1 s on a board."""

_CODE_VERSION: Final = {"matchboxscope": "Nov 13 2024 @ 10:11:12", "easytarget": "May  8 2022 @ 12:34:56"}
_AUTOFOCUS = re.compile(r"\s*([+-]?\d+);\s*([+-]?\d+);\s*([+-]?\d+)")


def matchboxscope(board: Board) -> list[HttpServer]:
    """Give the Matchboxscope's two servers."""
    return _servers(board, _Firmware(board, extras=True))


def easytarget(board: Board) -> list[HttpServer]:
    """Give esp32-cam-webserver's two servers."""
    return _servers(board, _Firmware(board, extras=False))


def _servers(board: Board, firmware: _Firmware) -> list[HttpServer]:
    manners = Manners(send_timeout_s=board.options.send_timeout_s, send_buffer=board.send_buffer)
    seen = board.device.requests.append
    return [
        HttpServer(board.host, board.port, firmware.control_routes(), manners, seen),
        HttpServer(board.host, board.stream_port, firmware.stream_routes(), manners, seen),
    ]


class _Firmware:
    """The handlers; `extras` are what Matchboxscope added."""

    def __init__(self, board: Board, *, extras: bool) -> None:
        self.board = board
        self.device = board.device
        self.extras = extras

    def control_routes(self) -> dict[str, Handler]:
        routes: dict[str, Handler] = {
            "/": self.index,
            "/control": self.control,
            "/status": self.status,
            "/capture": self.capture,
            "/dump": self.dump,
            "/stop": self.stop,
            **dict.fromkeys(("/style.css", "/logo.svg"), self.static),
            **dict.fromkeys(("/favicon-16x16.png", "/favicon-32x32.png", "/favicon.ico"), self.static),
        }
        if self.extras:
            routes |= {
                "/holo": self.index,
                "/gallery": self.index,
                "/uploadgithub": self.uploadgithub,
                "/mac": self.mac,
                "/anglerfishmode": self.anglerfish,
                "/files": self.files,
                "/downloadfile": self.downloadfile,
            }
        return routes

    def stream_routes(self) -> dict[str, Handler]:
        icons: dict[str, Handler] = dict.fromkeys(
            ("/favicon-16x16.png", "/favicon-32x32.png", "/favicon.ico"), self.static
        )
        return {"/": self.stream, "/info": self.info, "/view": self.view, **icons}

    # --- port 80

    async def control(self, exchange: Exchange) -> bool:
        device = self.device
        await device.side_delay(_LED_S)
        pair = control_pair(exchange)
        if pair is None:
            return await exchange.send_error(404)
        var, val = pair
        if var == "reboot":
            self.board.reboot_by_watchdog()
            await asyncio.Event().wait()  # flashes its LED until the watchdog ends it: no answer, ever
        if not await self._set(var, val):
            await exchange.send_error(500)
            return True  # the handler returns what httpd_resp_send_500 returns: ESP_OK
        return await exchange.send(headers=CORS)

    async def _set(self, var: str, val: str) -> bool:
        sensor = self.device.sensor
        if var == "save_prefs":
            sensor.save_prefs()
        elif var == "clear_prefs":
            sensor.clear_prefs()
        elif self.extras and var in ("ssid", "password"):
            self.board.wifi[var] = val
        elif self.extras and var in ("autofocus", "mAutoFocus"):
            # sscanf("%d;%d;%d"), and -100;100;20 without a word when that fails: %3B for one.
            found = _AUTOFOCUS.match(val) if var == "autofocus" else None
            sweep = tuple(map(int, found.groups())) if found else (-100, 100, 20)
            try:
                busy_s = sensor.autofocus() if var == "mAutoFocus" else sensor.autofocus(*sweep)
            except ZeroDivisionError:
                self.board.crash()
                await asyncio.Event().wait()
            else:
                await asyncio.sleep(busy_s)
        else:
            return await self.device.set(var, atoi(val))
        return True

    async def status(self, exchange: Exchange) -> bool:
        return await send_json(self.device, exchange, self._status_json(exchange))

    def _status_json(self, exchange: Exchange) -> str:
        device = self.device
        items: list[str] = []
        as_text = False
        for name, value in device.sensor.status_values().items():
            if name == "rotate":
                items += [
                    f'"cam_name":"{device.name}"',  # %s: nothing is escaped
                    f'"code_ver":"{_CODE_VERSION[device.options.firmware]}"',
                    f'"rotate":"{value}"',
                    f'"stream_url":"{self.board.stream_url_seen_by(exchange.sock)}"',
                ]
                continue
            if name == "images_served":
                value = device.images_served
            items.append(f'"{name}":"{value}"' if as_text else f'"{name}":{value}')
            # Behind sd_card the firmware prints whole numbers as strings.
            as_text = as_text or name == "sd_card"
        return "{" + ",".join(items) + "}"

    async def capture(self, exchange: Exchange) -> bool:
        device = self.device
        lamp_s = _LAMP_SETTLES_S if device.sensor["autolamp"] else 0.0
        await device.side_delay(_LED_S + lamp_s)
        if self.extras:
            await device.hold_stream()
        try:
            shot = await device.take_single()
            device.captured.enter(shot.number, shot.jpeg)
            await exchange.send(shot.jpeg, "image/jpeg", capture_headers())
            if self.extras:
                device.images_served += 1
                await device.side_delay(_AFTER_CAPTURE_S)
        except NoFrame:
            return await exchange.send_error(500)
        finally:
            device.release_stream()
        return True

    async def stop(self, exchange: Exchange) -> bool:
        await self.device.side_delay(_LED_S)
        self.device.stream_kill = True
        return await exchange.send(headers=CORS)

    async def dump(self, exchange: Exchange) -> bool:
        await self.device.side_delay(_LED_S)
        page = dump_page(self.board, exchange.sock, _CODE_VERSION[self.device.options.firmware])
        return await exchange.send(page, headers=PAGE)

    async def index(self, exchange: Exchange) -> bool:
        await self.device.side_delay(_LED_S)
        view = "full"
        if exchange.request.query and exchange.request.path == "/":
            view = exchange.value("view") or ""
        if view not in ("full", "simple", "portal"):
            return await exchange.send_error(404)
        return await exchange.send(index_page(self.board, exchange.sock, view), headers=PAGE)

    async def static(self, exchange: Exchange) -> bool:
        body, kind = favicon(exchange.request.path)
        return await exchange.send(body, kind, PAGE)

    # --- what Matchboxscope added

    async def uploadgithub(self, exchange: Exchange) -> bool:
        self.device.stream_kill = True
        return True  # nothing is sent at all

    async def mac(self, exchange: Exchange) -> bool:
        # sprintf("\"mac\":%d,", pointer): an address in RAM, and no JSON.
        return await exchange.send('{"mac":1073421184,}', "application/json", CORS)

    async def anglerfish(self, exchange: Exchange) -> bool:
        # Its deep sleep between pictures wants an SD card, and there is none here.
        text = "{SD card not initialized - please insert an SD card and restart the microscope}"
        return await exchange.send(text, "application/json", CORS)

    async def files(self, exchange: Exchange) -> bool:
        return await exchange.send_error(404, "File not found")

    async def downloadfile(self, exchange: Exchange) -> bool:
        if exchange.value("filename", 128) is None:
            return await exchange.send_error(400, "Invalid request")
        return await exchange.send_error(404, "File not found")

    # --- port 81

    async def stream(self, exchange: Exchange) -> bool:
        for piece in head_of("200 OK", CHUNKED_TYPE, None, CORS):
            await exchange.write(piece)
        return await run_stream(self.device, exchange, LAYOUT_C, gives_up=self.extras)

    async def info(self, exchange: Exchange) -> bool:
        device = self.device
        text = (
            f'{{"cam_name":"{device.name}","rotate":"{device.sensor["rotate"]}",'
            f'"stream_url":"{self.board.stream_url_seen_by(exchange.sock)}"}}'
        )
        return await exchange.send(text, "application/json", CORS)

    async def view(self, exchange: Exchange) -> bool:
        await self.device.side_delay(_LED_S)
        return await exchange.send(view_page(self.device.name), headers=PAGE)
