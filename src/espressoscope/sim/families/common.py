"""What the httpd-based families have in common: reading ``/control``, answering ``/capture``, bad JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from espressoscope.sim.device import Device, Shot
    from espressoscope.sim.httpd import Exchange

__all__ = ["CORS", "PAGE", "atoi", "capture_headers", "control_pair", "maybe_bad_json", "send_json"]

CORS: Final = {"Access-Control-Allow-Origin": "*"}
PAGE: Final = {"Content-Encoding": "identity"}

_NUMBER = re.compile(r"\s*([+-]?\d+)")


def atoi(text: str) -> int:
    """C's ``atoi`` on a 32-bit device: leading number, clamped, else 0."""
    found = _NUMBER.match(text)
    if found is None:
        return 0
    return max(-(2**31), min(2**31 - 1, int(found[1])))


def control_pair(exchange: Exchange) -> tuple[str, str] | None:
    """Give ``var`` and ``val`` as sent, or None where the firmware answers 404: missing, or too long."""
    var, val = exchange.value("var"), exchange.value("val")
    return None if var is None or val is None else (var, val)


def capture_headers(shot: Shot | None = None, name: str = "capture.jpg") -> dict[str, str]:
    """Headers of a single picture, stamped when `shot` is given."""
    headers = {"Content-Disposition": f"inline; filename={name}", **CORS}
    if shot is not None:
        seconds, micros = divmod(shot.stamp_us, 1_000_000)
        headers["X-Timestamp"] = f"{seconds}.{micros:06d}"
    return headers


async def send_json(device: Device, exchange: Exchange, text: str) -> bool:
    """Answer with a `/status`, spoilt if a fault says so."""
    return await exchange.send(maybe_bad_json(device, text), "application/json", CORS)


def maybe_bad_json(device: Device, text: str) -> str:
    """Spoil JSON where the fault ``bad-json`` is in force; each kind was seen on some firmware."""
    fault = device.faults.get("bad-json")
    if fault is None:
        return text
    fault.hits += 1
    kind = fault.text("kind")
    if kind == "trailing-comma":  # matchboxscope-fw: {"framesize":9,"quality":12,}
        return text.removesuffix("}") + ",}"
    if kind == "truncated":
        return text[: len(text) // 2]
    if kind == "unescaped":  # names are printed with %s
        named = re.sub(r'"cam_name":"[^"]*"', '"cam_name":"Matchbox "scope""', text)
        # Where there is no name, under a key that makes no other firmware of it.
        return named if named != text else text.replace("{", '{"note":"Matchbox "scope"",', 1)
    if kind == "html":
        return "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"
    if kind == "unsigned":  # led_intensity %u of -1
        return re.sub(r'"(lamp|led_intensity)":-?\d+', r'"\1":4294967295', text)
    return "{}"
