"""Many simulated cameras at once, for Python and for ``espressoscope simulate``."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

from espressoscope.sim.camera import SimulatedCamera
from espressoscope.sim.records import DEFAULT_KEEP_FRAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DEFAULT_PORT", "LOAD_CAMERAS", "simulate"]

DEFAULT_PORT = 8080
LOAD_CAMERAS = 8
"""From this many cameras on pictures are made beforehand, if nobody says otherwise."""

_PREPARE_S = 5.0
_KEEP_BYTES_TOGETHER = 512 * 1024 * 1024


@contextlib.contextmanager
def simulate(
    count: int = 1,
    firmware: str | Sequence[str] = "matchboxscope",
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    fps: float | None = None,
    framesize: str | None = None,
    quality: int | None = None,
    faults: Sequence[str] = (),
    name: str | None = None,
    seed: int = 0,
    *,
    prerender: bool | None = None,
    keep: int | Literal["all"] = DEFAULT_KEEP_FRAMES,
) -> Iterator[list[SimulatedCamera]]:
    """Run several simulated cameras inside a ``with`` block.

    Parameters
    ----------
    count : int
        How many.
    firmware : str or sequence of str
        As for `SimulatedCamera`; several are taken in turn.
    host, fps, framesize, quality, faults, seed, keep
        As for `SimulatedCamera`, the same for all; together they remember at most 512 MiB of frames.
    port : int
        Camera i answers on ``port + 2 * i`` and streams on the next; 0: any free ones.
    name : str, optional
        What they call themselves; more than one get ``-1``, ``-2`` and so on behind it.
    prerender : bool, optional
        As for `SimulatedCamera`; None does so from 8 cameras on. Where `fps` is given too, the cameras are
        handed over when all pictures are made, but 5 s later at most, and cost little from then on.

    Yields
    ------
    list of SimulatedCamera
        In the order of their ports.

    Raises
    ------
    CameraError
        A port is taken; no camera is left running.
    ValueError
        Something asked for does not exist.
    """
    if count < 1:
        raise ValueError(f"at least one camera, not {count}")
    if port and port + 2 * count - 1 > 65535:
        raise ValueError(f"{count} cameras do not fit between port {port} and 65535")
    firmwares = [firmware] if isinstance(firmware, str) else list(firmware)
    if not firmwares:
        raise ValueError("at least one firmware")
    cameras = [
        SimulatedCamera(
            firmwares[index % len(firmwares)],
            host,
            port + 2 * index if port else 0,
            fps,
            framesize,
            quality,
            name if name is None or count == 1 else f"{name}-{index + 1}",
            seed,
            number=index,
            prerender=count >= LOAD_CAMERAS if prerender is None else prerender,
            keep=keep,
            keep_bytes=_KEEP_BYTES_TOGETHER // count,
            faults=faults,
        )
        for index in range(count)
    ]
    with contextlib.ExitStack() as stack:
        for camera in cameras:
            stack.enter_context(camera)
        if fps is not None:
            until = time.monotonic() + _PREPARE_S
            with contextlib.suppress(TimeoutError):
                for camera in cameras:
                    camera.prepare(max(0.0, until - time.monotonic()))
        yield cameras
