"""What the tests of recordings share: pictures, a camera's frames, what a foreign reader makes of a file."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import simplejpeg

from espressoscope.model import Frame

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from espressoscope.model import FrameStatus
    from espressoscope.recording.track import CameraTrack

SOFTWARE = "espressoscope test"
REPO = Path(__file__).resolve().parents[1]


@cache
def jpeg(
    width: int = 64, height: int = 48, seed: int = 0, *, subsampling: str = "422", gray: bool = False
) -> bytes:
    """Make a small picture with strong colours, so that swapped ones are noticed."""
    random = np.random.default_rng(seed)
    across = np.linspace(20, 230, width)[None, :]
    down = np.linspace(200, 40, height)[:, None]
    picture = np.empty((height, width, 3), np.uint8)
    picture[..., 0] = across
    picture[..., 1] = down
    picture[..., 2] = 30 + 10 * seed % 100
    picture[: height // 4, : width // 4] = random.integers(0, 255, 3, np.uint8)
    if gray:
        return simplejpeg.encode_jpeg(picture[..., :1].copy(), 80, colorspace="GRAY", colorsubsampling="Gray")
    return simplejpeg.encode_jpeg(picture, 80, colorspace="RGB", colorsubsampling=subsampling)


def with_own_disks(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script that mounts small disks nobody else sees, and ends with code 99 where it may not."""
    if sys.platform != "linux" or shutil.which("unshare") is None:
        pytest.skip("mount namespaces need Linux and the program unshare (Debian: util-linux)")
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *rights, "--mount", "sh", "-c", script],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(REPO / "src"), str(REPO / "tests")))},
    )
    if done.returncode == 99 or "unshare failed" in done.stderr:
        pytest.skip(f"no right to mount a disk in a namespace ({done.stderr.strip()})")
    return done


class Source:
    """Makes frames as a camera's link does, and remembers them."""

    def __init__(self, name: str = "A1", *, fps: float = 25.0) -> None:
        self.name = name
        self.frames: list[Frame] = []
        self.sequence = 0
        self._now_ns = time.time_ns()
        self._step_ns = round(1e9 / fps)

    def frame(
        self,
        data: bytes | None = None,
        status: FrameStatus = "ok",
        *,
        lost: int = 0,
        width: int = 64,
        height: int = 48,
    ) -> Frame:
        """Make the next frame; `lost` numbers are left out before it."""
        self.sequence += lost
        if data is None:
            data = jpeg(width, height, self.sequence % 8)
        device_ns = None if self.sequence % 3 else self._now_ns // 3
        frame = Frame(data, self.sequence, self._now_ns, device_ns, width, height, self.name, status)
        self.sequence += 1
        self._now_ns += self._step_ns
        self.frames.append(frame)
        return frame

    def feed(self, track: CameraTrack, count: int, **keys: Any) -> None:
        """Put so many into a track."""
        for _ in range(count):
            assert not track.put(self.frame(**keys))


def facts(frame: Frame) -> tuple[Any, ...]:
    """Give all there is to a frame, for comparing."""
    return (
        frame.jpeg, frame.sequence, frame.received_ns, frame.device_ns, frame.width, frame.height,
        frame.camera, frame.status,
    )  # fmt: skip


def pages_of(path: Path) -> list[bytes]:
    """Give the bytes of each page as tifffile finds them, without anything of ours."""
    import tifffile

    with tifffile.TiffFile(path) as tiff, path.open("rb") as file:
        found = []
        for page in tiff.pages:
            file.seek(page.dataoffsets[0])
            found.append(file.read(page.databytecounts[0]))
        return found


@contextlib.contextmanager
def no_threads_kept() -> Iterator[None]:
    """Have dask start no threads here, and end the one that zarr keeps, where they are used."""
    try:
        import dask
    except ImportError:
        yield
        return
    try:
        with dask.config.set(scheduler="synchronous"):
            yield
    finally:
        sync = sys.modules.get("zarr.core.sync")
        if sync is not None:
            loop, thread = sync.loop[0], sync.iothread[0]
            if loop is not None and thread is not None:
                loop.call_soon_threadsafe(loop.stop)
                thread.join(20)  # zarr itself waits a moment only, and trips over a slow machine
            sync.cleanup_resources()


def decoded(data: bytes) -> NDArray[np.uint8]:
    """Decode a JPEG."""
    return simplejpeg.decode_jpeg(data, "RGB")
