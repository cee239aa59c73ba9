"""Arduino's CameraWebServer example, core 3.1 and later (framesizes numbered anew).

From ``libraries/ESP32/examples/Camera/CameraWebServer/app_httpd.cpp`` of espressif/arduino-esp32 25484e1.
"""

from __future__ import annotations

import gzip
import io
from typing import TYPE_CHECKING, Final

from PIL import Image

from espressoscope.sim.device import NoFrame
from espressoscope.sim.families.common import CORS, atoi, capture_headers, control_pair, send_json
from espressoscope.sim.families.pages import index_page
from espressoscope.sim.httpd import HttpServer, Manners, head_of
from espressoscope.sim.stream import CHUNKED_TYPE, LAYOUT_B, run_stream

if TYPE_CHECKING:
    from espressoscope.sim.board import Board
    from espressoscope.sim.httpd import Exchange, Handler

__all__ = ["camerawebserver"]

_LED_S: Final = 0.15
"""``vTaskDelay(150)`` before `/capture`, for the flash LED (CONFIG_LED_ILLUMINATOR_ENABLED)."""


def camerawebserver(board: Board) -> list[HttpServer]:
    """Give CameraWebServer's two servers."""
    firmware = _Firmware(board)
    manners = Manners(send_timeout_s=board.options.send_timeout_s, send_buffer=board.send_buffer)
    seen = board.device.requests.append
    return [
        HttpServer(board.host, board.port, firmware.control_routes(), manners, seen),
        HttpServer(board.host, board.stream_port, {"/stream": firmware.stream}, manners, seen),
    ]


class _Firmware:
    def __init__(self, board: Board) -> None:
        self.board = board
        self.device = board.device
        self.registers: dict[int, int] = {0xD3: 4, 0x111: 0, 0x132: 137}

    def control_routes(self) -> dict[str, Handler]:
        return {
            "/": self.index,
            "/status": self.status,
            "/control": self.control,
            "/capture": self.capture,
            "/bmp": self.bmp,
            "/xclk": self.xclk,
            "/reg": self.reg,
            "/greg": self.greg,
            "/pll": self.accepted,
            "/resolution": self.accepted,
        }

    async def index(self, exchange: Exchange) -> bool:
        page = gzip.compress(index_page(self.board, exchange.sock, "full").encode(), mtime=0)
        return await exchange.send(page, headers={"Content-Encoding": "gzip"})

    async def status(self, exchange: Exchange) -> bool:
        # print_reg(): the raw registers first, "0x%x":%u
        numbers = {f"0x{address:x}": self.registers[address] for address in (0xD3, 0x111, 0x132)}
        numbers |= self.device.sensor.status_values()
        numbers["led_intensity"] &= 0xFFFFFFFF  # %u
        text = ",".join(f'"{name}":{value}' for name, value in numbers.items())
        return await send_json(self.device, exchange, "{" + text + "}")

    async def control(self, exchange: Exchange) -> bool:
        pair = control_pair(exchange)
        if pair is None:
            return await exchange.send_error(404)
        if not await self.device.set(pair[0], atoi(pair[1])):
            await exchange.send_error(500)
            return True
        return await exchange.send(headers=CORS)

    async def capture(self, exchange: Exchange) -> bool:
        await self.device.side_delay(_LED_S)
        try:
            shot = await self.device.take_single()
        except NoFrame:
            return await exchange.send_error(500)
        self.device.captured.enter(shot.number, shot.jpeg)
        return await exchange.send(shot.jpeg, "image/jpeg", capture_headers(shot))

    async def bmp(self, exchange: Exchange) -> bool:
        try:
            shot = await self.device.take_single()
        except NoFrame:
            return await exchange.send_error(500)
        buffer = io.BytesIO()
        Image.open(io.BytesIO(shot.jpeg)).save(buffer, "BMP")
        headers = capture_headers(shot, "capture.bmp")
        return await exchange.send(buffer.getvalue(), "image/x-windows-bmp", headers)

    async def xclk(self, exchange: Exchange) -> bool:
        megahertz = exchange.value("xclk")
        if megahertz is None:
            return await exchange.send_error(404)
        if not self.device.sensor.set_xclk(atoi(megahertz)):
            await exchange.send_error(500)
            return True
        return await exchange.send(headers=CORS)

    async def reg(self, exchange: Exchange) -> bool:
        words = [exchange.value(key) for key in ("reg", "mask", "val")]
        if None in words:
            return await exchange.send_error(404)
        address, mask, value = (atoi(word or "") for word in words)
        self.registers[address] = (self.registers.get(address, 0) & ~mask | value & mask) & 0xFF
        return await exchange.send(headers=CORS)

    async def greg(self, exchange: Exchange) -> bool:
        address, mask = exchange.value("reg"), exchange.value("mask")
        if address is None or mask is None:
            return await exchange.send_error(404)
        return await exchange.send(str(self.registers.get(atoi(address), 0) & atoi(mask)), headers=CORS)

    async def accepted(self, exchange: Exchange) -> bool:
        """``/pll`` and ``/resolution``: taken, missing keys count as 0, and without effect here."""
        if not exchange.request.query:
            return await exchange.send_error(404)
        return await exchange.send(headers=CORS)

    async def stream(self, exchange: Exchange) -> bool:
        for piece in head_of("200 OK", CHUNKED_TYPE, None, {**CORS, "X-Framerate": "60"}):
            await exchange.write(piece)
        return await run_stream(self.device, exchange, LAYOUT_B)
