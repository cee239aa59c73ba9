"""The floor beside a row: the picture that a row has had is decoded once more, bare, in the same process.

On a shared machine one second is half as fast as the next, and a processor that has slept between two frames
is slower than one that never does. A floor measured before or after, in another process, differs by more than
what is to be found out. So the two take turns, frame by frame, and CPU time is told apart.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmarks.job import Job
    from benchmarks.pictures import PictureSet


class Beside:
    """Decodes from memory into one buffer whatever number it is told; with the job's option ``beside``.

    Attributes
    ----------
    frames : int
        Pictures decoded here.
    cpu_s : float
        CPU time that took, which is not the row's.
    """

    def __init__(self, job: Job, pictures: PictureSet) -> None:
        self.frames = 0
        self.cpu_s = 0.0
        self._asked = bool(job.options.get("beside"))
        self._jpegs = pictures.jpegs
        self._width, self._height, _ = pictures.size
        self._buffer = np.empty((self._height, self._width, 3), np.uint8)

    def decode(self, number: int | None) -> None:
        """Decode the picture of this number; one thread at a time."""
        if not self._asked or number is None:
            return
        import simplejpeg

        jpeg = self._jpegs[number]
        began = time.thread_time()
        simplejpeg.decode_jpeg(
            jpeg, "RGB", min_height=self._height, min_width=self._width, buffer=self._buffer
        )
        self.cpu_s += time.thread_time() - began
        self.frames += 1
