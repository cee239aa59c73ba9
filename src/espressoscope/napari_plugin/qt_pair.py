"""The one pair of Qt binding and Python that breaks live view."""

from __future__ import annotations

import sys

import qtpy

__all__ = ["bad_pair"]


def bad_pair(
    binding: str = qtpy.API_NAME,
    version: str = qtpy.QT_VERSION or "",
    python: tuple[int, ...] = sys.version_info[:2],
) -> str:
    """Say what is wrong with this pair; "" when nothing is.

    PySide6 6.12.0 with Python before 3.12 drops a reference to None on every call without a result: after
    some minutes of live view the interpreter dies.
    """
    if binding == "PySide6" and version == "6.12.0" and python < (3, 12):
        return (
            "PySide6 6.12.0 with Python older than 3.12 ends napari after some minutes of live view: "
            "install PyQt6, or PySide6 of another version"
        )
    return ""
