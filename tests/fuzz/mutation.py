"""Changing bytes at random, in the ways that break parsers."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

_NUMBERS = (
    0,
    1,
    2,
    7,
    8,
    63,
    64,
    127,
    128,
    255,
    256,
    4095,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
_DIGITS = re.compile(rb"[0-9]{1,40}")


def mutate(
    data: bytes, rng: random.Random, tokens: Sequence[bytes], others: Sequence[bytes], most: int
) -> bytes:
    """Give bytes changed in one to six places."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        _once(found, rng, tokens, others)
    return bytes(found[:most])


def _once(data: bytearray, rng: random.Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> None:
    size = len(data)
    at = rng.randrange(size + 1)
    length = min(size - at, rng.choice((1, 1, 2, 4, 8, 30, 200, 2000)))
    way = rng.randrange(11)
    if way == 0 and at < size:
        data[at] ^= 1 << rng.randrange(8)
    elif way == 1 and at < size:
        data[at] = (
            rng.choice(b"\0\xff\xd8\xd9\xda\r\n\"'\\{}[]:,;-=#/ 09")
            if rng.random() < 0.5
            else rng.randrange(256)
        )
    elif way == 2 and tokens:
        data[at:at] = rng.choice(tokens)
    elif way == 3 and tokens:
        token = rng.choice(tokens)
        data[at : at + len(token)] = token
    elif way == 4:
        del data[at : at + length]
    elif way == 5:
        data[at:at] = data[at : at + length] * rng.choice((1, 1, 2, 10))
    elif way == 6:
        other = rng.choice(others) if others else b""
        begin = rng.randrange(len(other) + 1)
        data[at : at + length * rng.randrange(2)] = other[begin : begin + rng.choice((1, 20, 300, 5000))]
    elif way == 7:
        number, width = rng.choice(_NUMBERS), rng.choice((1, 2, 4, 8))
        order = rng.choice(("little", "big"))
        data[at : at + width] = (number & ((1 << 8 * width) - 1)).to_bytes(width, order)
    elif way == 8:
        matches = list(_DIGITS.finditer(data))
        if matches:
            match = rng.choice(matches)
            number = rng.choice((*_NUMBERS, int(match[0][:18]) + rng.randint(-3, 3)))
            data[match.start() : match.end()] = str(number).encode()
    elif way == 9:
        data[at : at + length] = rng.randbytes(length)
    elif size:
        begin = rng.randrange(size)
        piece = data[begin : begin + length]
        data[at : at + len(piece)] = piece


_VALUES = (
    None, True, 0, -1, 1, 5, 10**30, -(10**30), 0.5, 1e308, float("inf"), float("nan"), "", "x", "A1", "..",
    "/etc", "a/b", "\0", "\x1b[2J", "\ud800", "A" * 300, 1 << 63, "9" * 30,
)  # fmt: skip


def lie(text: bytes, rng: random.Random) -> bytes:
    """Give JSON in which one to three values are others; text that is none as it is."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for _ in range(rng.choice((1, 1, 2, 3))):
        places = list(_places(content))
        if not places:
            break
        holder, key = rng.choice(places)
        way = rng.randrange(4)
        if way == 0 and isinstance(holder, list):
            holder.append(holder[key])
        elif way == 1:
            del holder[key]
        else:
            holder[key] = rng.choice((*_VALUES, [], {}, [[]], [{}], {"": ""}))
    return json.dumps(content).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key in (
        list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    ):
        yield value, key
        yield from _places(value[key])
