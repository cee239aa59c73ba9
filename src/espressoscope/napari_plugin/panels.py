"""The panels below the table, each a tab: a title, and a widget made with ``(session, parent)``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.napari_plugin.hook_panel import HookPanel
from espressoscope.napari_plugin.record_panel import RecordPanel
from espressoscope.napari_plugin.settings_panel import SettingsPanel
from espressoscope.napari_plugin.snap_panel import SnapPanel
from espressoscope.napari_plugin.traces_panel import TracesPanel

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

    from espressoscope.napari_plugin.session import LiveSession

__all__ = ["PANELS"]

PANELS: tuple[tuple[str, Callable[[LiveSession, QWidget], QWidget]], ...] = (
    ("Settings", SettingsPanel),
    ("Snap", SnapPanel),
    ("Record", RecordPanel),
    ("Traces", TracesPanel),
    ("Function", HookPanel),
)
"""In the order of the tabs."""
