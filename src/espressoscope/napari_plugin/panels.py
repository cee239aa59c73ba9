"""The panels below the table, each a tab: a title, and a widget made with ``(session, parent)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["PANELS"]

PANELS: tuple[tuple[str, Callable[[LiveSession, QWidget], QWidget]], ...] = ()
"""In the order of the tabs."""
