"""`frames.csv` of one camera: a line for every frame stored, and for what happened beside."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from espressoscope.recording.files import GrowingFile, PartlyWritten, PlainFile
from espressoscope.recording.run_folder import LOG_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from espressoscope.model import Frame
    from espressoscope.recording.segment import Entry

__all__ = ["COLUMNS", "LogFile"]

COLUMNS: Final = (
    "sequence", "received_ns", "received_at", "device_ns", "bytes", "width", "height", "status", "gap",
    "segment", "page", "note",
)  # fmt: skip

_SECOND: Final = 1_000_000_000


class LogFile:
    """The log of one camera, written behind its frames.

    Parameters
    ----------
    folder : Path
        The camera's.
    new : bool
        Make it; otherwise go on with the one there.
    files : type of PlainFile
        How it is written.

    Raises
    ------
    OSError
    """

    def __init__(self, folder: Path, *, new: bool = True, files: type[PlainFile] = GrowingFile) -> None:
        self._rows: list[str] = []
        self._second = -1
        self._second_text = ""
        self.file = files(folder / LOG_NAME, new=new)
        if self.file.size == 0:
            self._rows.append(",".join(COLUMNS) + "\n")
        try:
            self.flush()
        except OSError:
            self.file.close()
            raise

    @property
    def waiting(self) -> bool:
        """Whether something has been noted that is not written yet."""
        return bool(self._rows)

    def _at(self, time_ns: int) -> str:
        second, rest = divmod(time_ns, _SECOND)
        if second != self._second:
            self._second = second
            try:
                self._second_text = f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
            except (OverflowError, ValueError, OSError):  # out of a damaged file: no year anybody knows
                self._second_text = "0001-01-01T00:00:00"
        return f"{self._second_text}.{rest // 1000:06d}Z"

    def frame(
        self,
        frame: Frame,
        lost: int,
        segment: int,
        page: int | None,
        note: str = "",
        *,
        length: int | None = None,
    ) -> None:
        """Note a stored frame; `page` is None where it is in the log only, `length` that of its JPEG."""
        length = len(frame.jpeg) if length is None else length
        received, device = frame.received_ns, frame.device_ns
        self._rows.append(
            f"{frame.sequence},{received},{self._at(received)},{'' if device is None else device},"
            f"{length},{frame.width},{frame.height},{frame.status},{lost},"
            f"{segment},{'' if page is None else page},{note}\n"
        )

    def frames(self, entries: Iterable[Entry], segment: int, page: int) -> None:
        """Note stored frames, those with a shape as pages from this one on: lines as `frame` has them."""
        row = self._rows.append
        start_ns = end_ns = 0  # of the second that `text` tells
        text = ""
        for frame, shape, lost in entries:
            received, device = frame.received_ns, frame.device_ns
            if not start_ns <= received < end_ns:
                text = self._at(received)[:-7]
                start_ns = received // _SECOND * _SECOND
                end_ns = start_ns + _SECOND
            place = "" if shape is None else page
            page += shape is not None
            row(
                f"{frame.sequence},{received},{text}{(received - start_ns) // 1000:06d}Z,"
                f"{'' if device is None else device},{len(frame.jpeg)},{frame.width},{frame.height},"
                f"{frame.status},{lost},{segment},{place},\n"
            )

    def event(self, time_ns: int, kind: str, note: str) -> None:
        """Note what is no frame: ``settings``, ``dropped``, ``end``."""
        text = io.StringIO()
        row = ["", time_ns, self._at(time_ns), "", "", "", "", kind, "", "", "", note]
        csv.writer(text, lineterminator="\n").writerow(row)
        self._rows.append(text.getvalue())

    def flush(self) -> None:
        """Write what has been noted; after an error the file ends with a whole line.

        Raises
        ------
        OSError
        """
        if not self._rows:
            return
        start = self.file.size
        # A camera may tell half a character, which is none in UTF-8.
        data = "".join(self._rows).encode("utf-8", "replace")
        try:
            self.file.append([data])
        except PartlyWritten as trouble:
            whole = data.rfind(b"\n", 0, trouble.written) + 1
            self.file.truncate(start + whole)
            self._rows = [data[whole:].decode()]
            raise trouble.error from trouble
        self._rows = []

    def close(self) -> None:
        """Close it; twice does nothing."""
        self.file.close()
