"""Snapped pictures as files: new ones, whole, under names every system takes. No Qt here."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import espressoscope as es
from espressoscope.napari_plugin.snapping import describe

if TYPE_CHECKING:
    from pathlib import Path

    from espressoscope.napari_plugin.snapping import Snapped

__all__ = ["Kind", "file_stem", "save"]

Kind: TypeAlias = Literal["jpeg", "tiff"]
SUFFIX: Final[dict[Kind, str]] = {"jpeg": ".jpg", "tiff": ".tif"}
_MOST_NAMES: Final = 1000
_MOST_CHARS: Final = 48
# Windows refuses these, the others separate folders or mean something to a shell.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0<>:\"/\\|?*%$&`'!;#~\ud800-\udfff]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_DESCRIPTION, _MODEL, _SOFTWARE = 270, 272, 305
_PER_CM: Final = 3


def save(picture: Snapped, folder: Path, kind: Kind) -> Path:
    """Write a picture into a folder; no file that exists is ever touched.

    Parameters
    ----------
    picture : Snapped
        What is saved.
    folder : Path
        It must exist.
    kind : {"jpeg", "tiff"}
        The JPEG byte for byte as the camera sent it; or a TIFF, turned and mirrored as shown, with the size
        of its pixels where that is known, and all that is known of it as JSON in its description.

    Returns
    -------
    Path
        The new file: camera and UTC time, and a number where that is taken.

    Raises
    ------
    OSError
        In words: what happened, and what to try. No part of a file is left.
    DecodeError
        A TIFF is wanted, and the picture cannot be decoded.
    """
    data = picture.frame.jpeg if kind == "jpeg" else _tiff(picture)
    stem = f"{file_stem(picture.camera)}-{_stamp(picture.frame.received_ns)}"
    try:
        if not folder.is_dir():  # asked first: a file of that name is no folder either
            raise FileNotFoundError(errno.ENOENT, "there is no such folder")
        for number in range(_MOST_NAMES):
            path = folder / (stem + (f"-{number + 1}" if number else "") + SUFFIX[kind])
            if _write_new(path, data):
                return path
        raise FileExistsError(errno.EEXIST, "too many pictures of that name")
    except OSError as error:
        raise type(error)(f"{picture.camera} was not saved in {folder}: {_reason(error)}") from error


def _write_new(path: Path, data: bytes) -> bool:
    """Write a file; false when there is one of that name."""
    began = False
    try:
        with open(path, "xb") as file:
            began = True
            file.write(data)
    except BaseException as error:
        if began:
            with contextlib.suppress(OSError):
                os.unlink(path)
        elif isinstance(error, FileExistsError):
            return False
        raise
    return True


def _reason(error: OSError) -> str:
    what = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1)):
        return f"{what}. Make room on the disk, or choose a folder on another one"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{what}. You may not write there: choose another folder"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{what}. Was it moved, or its disk taken away? Choose another one"
    return f"{what}. Choose another folder"


def file_stem(name: str) -> str:
    """Make the first part of a file's name of a camera's: valid on Windows too, no way out of a folder."""
    text = _FORBIDDEN.sub("-", unicodedata.normalize("NFC", name))
    text = re.sub(r"-{2,}", "-", re.sub(r"\.{2,}", ".", text)).strip("-._ ")[:_MOST_CHARS].rstrip("-._ ")
    if _RESERVED.fullmatch(text):
        text = f"camera-{text}"
    return text or "camera"


def _stamp(time_ns: int) -> str:
    seconds, rest_ns = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{rest_ns // 1000:06d}Z"


def _tiff(picture: Snapped) -> bytes:
    from PIL import Image
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[_DESCRIPTION] = json.dumps(describe(picture))
    tags[_MODEL] = picture.info.label.encode("ascii", "replace").decode()
    tags[_SOFTWARE] = f"espressoscope {es.__version__}"
    um = picture.look.pixel_um
    resolution = (
        {} if um is None else {"resolution_unit": _PER_CM, "x_resolution": 1e4 / um, "y_resolution": 1e4 / um}
    )
    file = io.BytesIO()
    Image.fromarray(picture.image()).save(file, "TIFF", tiffinfo=tags, **resolution)
    return file.getvalue()
