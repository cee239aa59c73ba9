"""Frames as `snap` and `stream` report and store them."""

import hashlib
from pathlib import Path
from typing import Any

import espressoscope as es
from espressoscope.cli.common import WrongUse
from espressoscope.cli.files import make_folder
from espressoscope.cli.naming import file_stamp
from espressoscope.cli.output import iso_utc

__all__ = ["describe", "frame_keys", "frame_stem", "output_folder"]


def frame_keys(frame: es.Frame) -> dict[str, Any]:
    """Give what ``--json`` says of every frame, beside the camera's name."""
    return {
        "received_at": iso_utc(frame.received_ns),
        "received_ns": frame.received_ns,
        "bytes": len(frame.jpeg),
        "width": frame.width,
        "height": frame.height,
        "sha256": hashlib.sha256(frame.jpeg).hexdigest(),
        "status": frame.status,
    }


def frame_stem(stem: str, frame: es.Frame, *, numbered: bool) -> str:
    """Name a frame's file, without suffix: camera, number, time."""
    number = f"_{frame.sequence:06d}" if numbered else ""
    return f"{stem}{number}_{file_stamp(frame.received_ns)}"


def describe(frame: es.Frame) -> str:
    """Tell a person about a frame."""
    damage = "" if frame.status == "ok" else f", {frame.status}"
    return f"{frame.width}x{frame.height}, {len(frame.jpeg) / 1000:.1f} KB{damage}"


def output_folder(folder: Path) -> Path:
    """Make the folder of ``-o`` ready.

    Raises
    ------
    WrongUse
        There is a file of this name.
    FileTrouble
        It cannot be made.
    """
    if folder.exists() and not folder.is_dir():
        raise WrongUse(f"{folder} is a file, not a folder", "Choose another name with -o")
    make_folder(folder)
    return folder
