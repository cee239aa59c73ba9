"""The pages and icons of the simulated cameras: short ones of our own, with the lines programs look for."""

from __future__ import annotations

import html
import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from espressoscope.sim.board import Board

_OWN_ADDRESS = "192.168.4.1"

__all__ = ["dump_page", "favicon", "index_page", "view_page"]


def index_page(board: Board, sock: socket.socket, view: str) -> str:
    """Give the control page in small: the stream, and where the settings are."""
    name = html.escape(board.device.name)
    stream = board.stream_url_seen_by(sock)
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{name}</title></head>\n'
        f"<body><h1>{name}</h1><!-- simulated by Espressoscope, view {html.escape(view)} -->\n"
        f'<img id="stream" src="{stream}">\n'
        '<p><a href="/status">status</a> <a href="/capture">capture</a> <a href="/dump">dump</a></p>\n'
        "</body></html>\n"
    )


def view_page(name: str) -> str:
    """Give the full-screen stream viewer of the stream port."""
    title = html.escape(name)
    return (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{title} - Stream</title></head>\n'
        '<body style="margin:0"><img id="stream" src="/" style="max-width:100%"></body></html>\n'
    )


def dump_page(board: Board, sock: socket.socket, version: str) -> str:
    """Give ``/dump`` line by line as ``dump_handler`` prints it (app_httpd.cpp)."""
    device = board.device
    seconds = device.uptime_us // 1_000_000
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    address = sock.getsockname()[0]
    lines = [
        '<html><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{device.name} - Status</title>",
        '<link rel="icon" type="image/png" sizes="32x32" href="/favicon-32x32.png">',
        '<link rel="icon" type="image/png" sizes="16x16" href="/favicon-16x16.png">',
        '<link rel="stylesheet" type="text/css" href="/style.css">',
        "</head>",
        "<body>",
        '<img src="/logo.svg" style="position: relative; float: right;">',
        "<h1>ESP32 Cam Webserver</h1>",
        f"Name: {device.name}<br>",
        f"Firmware: {version} (base: 4.0)<br>",
        "Sketch Size: 1183520 (total: 1966080, 60.0% used)<br>",
        "MD5: 0f1e2d3c4b5a69788796a5b4c3d2e1f0<br>",
        "ESP sdk: v4.4.5<br>",
        "<h2>WiFi</h2>",
        *_wifi_lines(board, address),
        f"Http port: {board.port}, Stream port: {board.stream_port}<br>",
        f"MAC: {device.mac}<br>",
        "<h2>System</h2>",
        f"Up: {days}:{hours:02d}:{minutes:02d}:{seconds:02d} (d:h:m:s)<br>",
        f"Active streams: {device.active_streams}, Previous streams: {device.previous_streams}, "
        f"Images captured: {device.images_served}<br>",
        f"CPU Freq: 240 MHz, Xclk Freq: {device.sensor['xclk']} MHz<br>",
        "MCU temperature : 53 &deg;C, 128 &deg;F",
        "<br>Heap: 318476, free: 152340, min free: 138612, max block: 110580<br>",
        "Psram: 4192139, free: 3996339, min free: 3899651, max block: 3932147<br>",
        "Spiffs: 896321, used: 1506<br>",
        "<br>",
        "</body>",
        "</html>",
    ]
    return "\n".join(lines) + "\n"


def _wifi_lines(board: Board, address: str) -> list[str]:
    device = board.device
    if address == _OWN_ADDRESS:  # as its own access point, open and named after itself
        own = f"{device.name}-{device.mac.replace(':', '')}"
        return ["Mode: AccessPoint<br>", f"SSID: {own}<br>", f"IP address: {address}<br>"]
    rssi = device.options.rssi if device.options.rssi is not None else -52 - device.options.number % 17
    return [
        "Mode: Client<br>",
        f"SSID: {board.network}<br>",
        f"Rssi: {rssi}<br>",
        "BSSID: 02:00:5E:00:53:01<br>",
        f"IP address: {address}<br>",
        "Netmask: 255.255.255.0<br>",
        "Gateway: 192.168.4.254<br>",
    ]


def favicon(path: str) -> tuple[bytes, str]:
    """Give a small picture or style sheet for the path, and its type."""
    if path.endswith(".css"):
        return b"body { font-family: sans-serif; }\n", "text/css"
    if path.endswith(".svg"):
        disc = b'<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><circle r="12"/></svg>'
        return disc, "image/svg+xml"
    side = 32 if "32" in path else 16
    png = _png(side)
    if not path.endswith(".ico"):
        return png, "image/png"
    entry = struct.pack("<BBBBHHII", side, side, 0, 0, 1, 8, len(png), 22)
    return struct.pack("<HHH", 0, 1, 1) + entry + png, "image/x-icon"


def _png(side: int) -> bytes:
    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = b"".join(b"\0" + b"\x40" * side for _ in range(side))
    return (
        b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows)) + part(b"IEND", b"")
    )
