"""ESPHome's ``esp32_camera_web_server`` in stream mode: one port, only ``/``, one connection.

From ``esphome/components/esp32_camera_web_server/camera_web_server.cpp``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from espressoscope.sim.device import NoFrame
from espressoscope.sim.httpd import HttpServer, Manners
from espressoscope.sim.stream import BOUNDARY, LAYOUT_D, run_stream

if TYPE_CHECKING:
    from espressoscope.sim.board import Board
    from espressoscope.sim.httpd import Exchange

__all__ = ["esphome"]

_HEAD: Final = (
    b"HTTP/1.0 200 OK\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n"
    b"Content-Type: multipart/x-mixed-replace;boundary=" + BOUNDARY + b"\r\n\r\n"
)

_NO_FRAMES: Final = b"Content-Type: text/plain\r\n\r\nNo frames send.\r\n--" + BOUNDARY + b"\r\n"
_FRAME_WAIT_S: Final = 5.0
"""``wait_for_image_``, one second longer than the driver's own wait."""


def esphome(board: Board) -> list[HttpServer]:
    """Give ESPHome's only server."""

    async def stream(exchange: Exchange) -> bool:
        # httpd_send, past the server's own response functions: not chunked.
        await exchange.write(_HEAD)
        sent = board.device.sent.total
        try:
            return await run_stream(board.device, exchange, LAYOUT_D)
        except NoFrame:
            if board.device.sent.total == sent:
                await exchange.write(_NO_FRAMES)
            return False

    board.device.frame_wait_s = _FRAME_WAIT_S
    manners = Manners(
        max_open_sockets=1,
        backlog=2,
        lru_purge=True,
        send_timeout_s=board.options.send_timeout_s,
        send_buffer=board.send_buffer,
    )
    return [HttpServer(board.host, board.port, {"/": stream}, manners, board.device.requests.append)]
