"""Simulated cameras in napari's menu: the plugin can be tried at a desk without hardware."""

from __future__ import annotations

from typing import Any

__all__ = ["four_cameras", "one_camera", "plate_of_cameras"]


def one_camera() -> list[tuple[Any, ...]]:
    """Show one simulated camera live."""
    return []


def four_cameras() -> list[tuple[Any, ...]]:
    """Show four simulated cameras live."""
    return []


def plate_of_cameras() -> list[tuple[Any, ...]]:
    """Show 24 simulated cameras live, a plate of 4 x 6 wells."""
    return []
