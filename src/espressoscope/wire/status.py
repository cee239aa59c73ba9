"""`/status` of any firmware: JSON, or what they take for it, to a flat mapping."""

from __future__ import annotations

import json

from espressoscope.errors import RemoteProtocolError

__all__ = ["parse_status"]

StatusValue = int | float | bool | str | None


def parse_status(body: bytes) -> dict[str, StatusValue]:
    """Read a status object (first version: strict JSON and trailing commas)."""
    text = body.decode("utf-8", "replace").strip()
    try:
        found = json.loads(text.replace(",}", "}"), strict=False)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RemoteProtocolError("not a status object", sample=body)
    result: dict[str, StatusValue] = {}
    for key, value in found.items():
        if value == 4294967295:
            value = -1
        elif isinstance(value, str) and key != "rotate" and value.lstrip("-").isdecimal():
            value = int(value)
        if value is None or isinstance(value, (int, float, bool, str)):
            result[key] = value
    return result
