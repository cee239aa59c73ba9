"""Frames sent wrong on purpose: the faults of `faults` that concern the stream.

Only called while a fault is in force; the plain loop is in `stream`.
"""

from __future__ import annotations

import asyncio
from itertools import accumulate
from typing import TYPE_CHECKING

from espressoscope.tables.framesizes import index_of

if TYPE_CHECKING:
    import random

    from espressoscope.sim.device import Alarm, Device, Shot
    from espressoscope.sim.faults import Fault
    from espressoscope.sim.stream import Connection, Layout

__all__ = ["send_faulty", "spoil"]

_LOOK_S = 0.02
"""How often a stalled or dripping stream looks whether its fault has ended."""


async def send_faulty(device: Device, connection: Connection, layout: Layout, alarm: Alarm) -> bool:
    """Take and send one frame with everything that is wrong at the moment; false when the stream is cut."""
    faults = device.faults
    if (fault := faults.get("size-change")) is not None:
        _change_size(device, fault)
    shots = [await device.take_frame(alarm)]
    if (fault := faults.get("frozen")) is not None:
        frozen: Shot = fault.state.setdefault("shot", shots[0])
        shots[0] = frozen._replace(stamp_us=shots[0].stamp_us)
        fault.hits += 1
    if (fault := faults.get("two-jpegs")) is not None and fault.strikes():
        shots.append(await device.take_frame(alarm))
    shots = _spoil_all(device, shots)
    body = b"".join(shot.jpeg for shot in shots)

    length: int | None = len(body)
    if (fault := faults.get("wrong-length")) is not None and fault.strikes():
        length = max(0, len(body) + int(fault.number("delta")))
    if (fault := faults.get("no-length")) is not None and fault.strikes():
        length = None
    lead, body, trail = layout.pieces(layout.header(shots[0], length), body)
    if (fault := faults.get("junk")) is not None and fault.strikes():
        noise = layout.wrap(device.random.randbytes(int(fault.number("size"))))
        # Behind the picture and the end of its chunk, before the next boundary.
        trail = b"\r\n" + noise + trail[2:] if layout.chunked else noise + trail

    if (fault := faults.get("cut")) is not None and fault.strikes():
        part = body[: int(len(body) * min(fault.number("part"), 1.0))]
        for shot in _whole(shots, len(part)):
            device.sent.enter(shot.number, shot.jpeg)
        await connection.write(lead + part)
        return False
    for shot in shots:
        device.sent.enter(shot.number, shot.jpeg)
    counted = _Counted(connection)
    try:
        await _send_hampered(device, counted, alarm, lead + body)
        await _send_hampered(device, counted, alarm, trail, halved=False)
    except BaseException:
        # Dripping, much time passes between a picture's last byte and the boundary's.
        whole = _whole(shots, counted.written - len(lead))
        for shot in reversed(shots[len(whole) :]):
            device.sent.take_back(shot.number)
        raise
    return True


def _whole(shots: list[Shot], size: int) -> list[Shot]:
    """Give the pictures that lie whole within so many bytes of a part's body."""
    ends = accumulate(len(shot.jpeg) for shot in shots)
    return [shot for shot, end in zip(shots, ends, strict=True) if end <= size]


class _Counted:
    """A connection that counts."""

    def __init__(self, connection: Connection) -> None:
        self.sock = connection.sock
        self.written = 0
        self._connection = connection

    async def write(self, data: bytes | memoryview) -> None:
        await self._connection.write(data)
        self.written += len(data)


async def _send_hampered(
    device: Device, connection: _Counted, alarm: Alarm, data: bytes, *, halved: bool = True
) -> None:
    loop = asyncio.get_running_loop()
    if halved and (fault := device.faults.get("stall")) is not None:
        fault.hits += 1
        half = len(data) // 2
        await connection.write(data[:half])
        data = data[half:]
        while device.faults.get("stall") is fault and not alarm.left:
            await alarm.wait_until(loop.time() + _LOOK_S)
    if (fault := device.faults.get("slow")) is not None:
        fault.hits += halved
        size = max(1, int(fault.number("size")))
        while data and device.faults.get("slow") is fault and not alarm.left:
            await connection.write(data[:size])
            data = data[size:]
            resume_at = loop.time() + fault.number("pause")
            while loop.time() < resume_at and device.faults.get("slow") is fault and not alarm.left:
                await alarm.wait_until(min(resume_at, loop.time() + _LOOK_S))
    if alarm.left and data:
        # The client may have closed only its own half: find out, as in the plain loop.
        await connection.write(data[:1])
        await asyncio.sleep(0)
        data = data[1:]
        alarm.left = False
    await connection.write(data)


def _change_size(device: Device, fault: Fault) -> None:
    """Every n-th frame, the first aside, go to the other size, or back."""
    sensor = device.sensor
    if "home" not in fault.state:
        home = sensor["framesize"]
        wanted = fault.text("to").upper() or ("SVGA" if sensor.framesize == "VGA" else "VGA")
        away = index_of(sensor.numbering, wanted)
        fault.state.update(home=home, away=home if away is None else away)
        fault.state["undo"] = lambda: sensor.set("framesize", home)
    if fault.state.get("started") and fault.strikes():
        here = sensor["framesize"]
        sensor.set("framesize", fault.state["away" if here == fault.state["home"] else "home"])
    fault.state["started"] = True


def _spoil_all(device: Device, shots: list[Shot]) -> list[Shot]:
    faults = device.faults
    if (fault := faults.get("corrupt")) is not None and fault.strikes():
        shots = [s._replace(jpeg=spoil(s.jpeg, fault.text("kind"), device.random)) for s in shots]
    if (fault := faults.get("stale-bytes")) is not None and fault.strikes():
        shots = [s._replace(jpeg=s.jpeg + _stale(s.jpeg, int(fault.number("size")))) for s in shots]
    return shots


def _stale(jpeg: bytes, size: int) -> bytes:
    """Leftovers of an earlier, longer picture in the same buffer: zeros, scan data, another end marker.

    As in 11 of 106 pictures of real boards: the 2.0 driver looks for the last FF D9 in its buffer.
    """
    middle = len(jpeg) // 2
    scan = jpeg[middle : middle + max(0, size - 5)].replace(b"\xff\xd9", b"\x00\x00")
    return b"\x00" * 3 + scan + b"\xff\xd9"


def spoil(jpeg: bytes, kind: str, dice: random.Random) -> bytes:
    """Damage a picture.

    Parameters
    ----------
    kind : {"scan", "no-eoi", "no-soi"}
        Scan data changed without making or unmaking a marker; end marker missing; start marker missing.
    """
    if kind == "no-eoi":
        return jpeg.removesuffix(b"\xff\xd9")
    if kind == "no-soi":
        return jpeg[2:]
    data = bytearray(jpeg)
    # The middle third lies within the scan, whose header is 623 bytes.
    start = max(len(data) // 3, min(700, len(data) - 1))
    for _ in range(max(8, len(data) // 200)):
        at = dice.randrange(start, max(start + 1, 2 * len(data) // 3))
        if data[at] != 0xFF and data[at - 1] != 0xFF:
            data[at] = (data[at] ^ dice.randrange(1, 255)) % 255
    return bytes(data)
