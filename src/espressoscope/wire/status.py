"""`/status` of any firmware, which is JSON, or what the firmware takes for it, as a flat mapping.

Known deviations, each read in a firmware's source: trailing commas (matchboxscope-fw; ``/mac`` of
Matchboxscope), numbers sent as strings (Matchboxscope, MJPEG2SD), -1 printed as unsigned 4294967295
(arduino-esp32), names put in without escaping (easytarget, Matchboxscope), a line of web page in front
(Tasmota).
What a key means is not known here.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from espressoscope.errors import RemoteProtocolError

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["MAX_STATUS", "StatusValue", "parse_status"]

StatusValue: TypeAlias = int | float | bool | str | None

MAX_STATUS = 64 * 1024
_MOST_KEYS = 512
_MOST_BRACKETS = 200  # json.loads recurses once per open bracket
_DEEPEST = 4
_LONGEST_KEY = 128
_LONGEST_STRING = 1024
_UNSIGNED_MINUS_ONE = 4294967295
# Texts even when they are digits. `rotate` is one of "-90", "0", "90" to every firmware and its own web page.
_TEXT_KEYS = frozenset(
    ("rotate", "cam_name", "code_ver", "name", "version", "ssid", "password", "mac", "ip", "stream_url", "id")
)
# What some firmwares tell back would go into tables, recordings and profiles. `pwdn` is a pin.
_SECRET_KEY = re.compile(
    r"passw|passphrase|(?:^|[^a-z])pass(?![a-z])|pwd(?!n)|psk|secret|(?:wpa|wep|wifi|api)_?key", re.IGNORECASE
)
_SMALLEST_SECRET = 1000
_USER = re.compile(r"(://)[^/@\s]{1,256}@")
_HIDDEN = "***"
_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")

# The tolerant scanner. Every repetition is bounded or cannot overlap with what follows: linear time.
_SEPARATORS = re.compile(r"[\s,]*")
_KEY = re.compile(r'"([^"]{0,128})"\s{0,8}:\s{0,8}')
_BARE = re.compile(r"[^\s,{}\[\]\":]{1,64}")
# A quote inside an unescaped text ends it only if a key follows, or the object ends.
_TEXT_END = re.compile(r'"\s{0,8}(?:,\s{0,8}"[^"]{0,128}"\s{0,8}:|,?\s{0,8}\}|,?\s{0,8}\Z)')
_NUMBER = re.compile(r"[-+]?[0-9]{1,32}(?:\.[0-9]{0,32})?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, StatusValue] = {"true": True, "false": False, "null": None, "nan": None}


def parse_status(body: bytes) -> dict[str, StatusValue]:
    """Read a status object.

    Strings of plain whole numbers become int (but not ``rotate``, names and versions), 4294967295 becomes
    -1; NaN, infinities and numbers beyond 64 bits None. Members of nested objects get dotted keys
    (``"pwm.0.pin"``), four levels deep. Of repeated keys the last counts. An object that breaks off gives
    what came before. In place of passwords, told by their key, stands ``"***"``, and of a user in a URL.

    Parameters
    ----------
    body : bytes
        At most `MAX_STATUS` bytes.

    Returns
    -------
    dict
        Keys in the order of the object; empty for ``{}``.

    Raises
    ------
    RemoteProtocolError
        Not an object: a web page, empty, too large.
    """
    if len(body) > MAX_STATUS:
        raise _no_object("an answer too large for a status", body)
    text = body.decode("utf-8", "replace").strip("\ufeff\x00 \t\r\n")
    start = _skip_web_lines(text)
    if not text.startswith("{", start):
        raise _no_object("an answer that is not a status object", body)
    members: object = None
    if text.count("{", start) + text.count("[", start) <= _MOST_BRACKETS:
        try:
            members = json.JSONDecoder(strict=False).raw_decode(text, start)[0]
        except ValueError:  # JSONDecodeError, or an integer of thousands of digits
            members = None
    if not isinstance(members, dict):
        members = _scan(text, start + 1)
        if members is None:
            raise _no_object("an answer that is not a status object", body)
    status: dict[str, StatusValue] = {}
    _flatten(status, "", members, _DEEPEST)
    return status


def _no_object(message: str, body: bytes) -> RemoteProtocolError:
    return RemoteProtocolError(
        message if body else "an empty answer instead of a status object",
        sample=body[:64],
        hint="Something else than a camera may be listening there",
    )


def _skip_web_lines(text: str) -> int:
    """Give where the object begins: Tasmota of early 2025 put ``{s}Webcam Frame rate{m}..{e}`` in front."""
    at = 0
    while text.startswith("{s}", at):
        found = text.find("{e}", at)
        if found < 0:
            break
        at = found + 3
        while text[at : at + 1].isspace():
            at += 1
    return at


def _flatten(status: dict[str, StatusValue], prefix: str, value: object, depth: int) -> None:
    items: list[tuple[str, object]]
    if isinstance(value, dict):
        items = [(_text(key), member) for key, member in value.items()]
    elif isinstance(value, list):
        items = [(str(place), member) for place, member in enumerate(value)]
    else:
        return
    for key, member in items:
        name = prefix + key
        if len(status) >= _MOST_KEYS:
            return
        if len(key) > _LONGEST_KEY:  # would stand in the name of everything below it
            continue
        if isinstance(member, (dict, list)):
            if depth > 1:
                _flatten(status, f"{name}.", member, depth - 1)
        else:
            status[name] = _HIDDEN if _is_secret(name, member) else _value(key, member)


def _is_secret(name: str, value: object) -> bool:
    """Tell whether this is a password by its key, or by one above it; some are numbers, short ones flags."""
    worth = abs(value) >= _SMALLEST_SECRET if isinstance(value, int | float) else bool(value)
    return worth and _SECRET_KEY.search(name) is not None


def _value(key: str, value: object) -> StatusValue:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        if value == _UNSIGNED_MINUS_ONE:
            return -1
        return value if abs(value) < 1 << 63 else None
    if isinstance(value, float):
        return value if abs(value) < float("inf") else None
    text = _USER.sub(rf"\1{_HIDDEN}@", _text(value)[:_LONGEST_STRING])
    if key not in _TEXT_KEYS and _WHOLE_NUMBER.fullmatch(text):
        return _value(key, int(text))
    return text


def _text(value: object) -> str:
    """Give text that can be written: half of a pair of surrogates, alone, is a letter nobody has."""
    return _SURROGATE.sub("\ufffd", str(value))


def _scan(text: str, at: int) -> dict[str, object] | None:
    """Read as many members as can be made out; None when there is not one, and no end either."""
    members: dict[str, object] = {}
    size = len(text)
    while len(members) < _MOST_KEYS:
        match = _SEPARATORS.match(text, at)
        at = match.end() if match else at
        if text.startswith("}", at):
            return members
        match = _KEY.match(text, at)
        if match is None:
            break
        key, at = match[1], match.end()
        if text.startswith('"', at):
            end = _TEXT_END.search(text, at + 1)
            if end is None:
                break
            members[key] = _unescaped(text[at + 1 : end.start()])
            at = end.start() + 1
        elif text.startswith(("{", "["), at):
            at = _skip_nested(text, at)
        else:
            match = _BARE.match(text, at)
            if match is None:
                break
            at = match.end()
            if at == size:
                break  # broken off, perhaps inside a number
            members[key] = _bare(match[0])
    return members or None


def _unescaped(text: str) -> str:
    """Undo JSON's escapes where they are ones; firmwares that do not escape leave none to undo."""
    if "\\" in text:
        try:
            value = json.JSONDecoder(strict=False).decode(f'"{text}"')
        except ValueError:
            return text
        return str(value)
    return text


def _bare(text: str) -> StatusValue:
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    if _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    return text


def _skip_nested(text: str, at: int) -> int:
    """Step over an object or list; strings in it may hold brackets and escaped quotes only."""
    depth = 0
    for match in re.compile(r'[{\[}\]]|"(?:[^"\\]|\\.){0,256}+"', re.DOTALL).finditer(text, at):
        found = match[0]
        if found in "{[":
            depth += 1
        elif found in "}]":
            depth -= 1
            if depth == 0:
                return match.end()
    return len(text)
