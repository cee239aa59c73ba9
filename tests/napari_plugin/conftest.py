"""A screen, a viewer and a widget for the plugin's tests; where napari is absent they are skipped."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from napari_support import WINDOW, make_viewer, open_screen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import napari

    from espressoscope.napari_plugin.widget import LiveWidget

HERE = os.path.dirname(__file__)
_ABSENT = ""


def pytest_collection_finish(session: pytest.Session) -> None:
    """Open the screen before the first test: it lasts as long as this process, and is none of theirs."""
    global _ABSENT
    if session.config.option.collectonly or not any(
        str(item.path).startswith(HERE) for item in session.items
    ):
        return
    try:
        import napari  # noqa: F401
        import pytestqt  # noqa: F401
        import qtpy  # noqa: F401
    except ImportError as error:
        _ABSENT = f"napari is not installed here ({error})"
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what napari's libraries warn of is theirs
        _ABSENT = open_screen()


@pytest.fixture(autouse=True)
def _screen() -> None:
    if _ABSENT:
        pytest.skip(_ABSENT)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what napari keeps."""
    folder = tmp_path_factory.mktemp("napari")
    os.environ["NAPARI_CONFIG"] = str(folder / "settings.yaml")
    return folder


@pytest.fixture(scope="session")
def shared_viewer(home: Path) -> Iterator[napari.Viewer]:
    if _ABSENT:
        pytest.skip(_ABSENT)
    viewer = make_viewer()
    yield viewer
    viewer.close()


@pytest.fixture
def viewer(shared_viewer: napari.Viewer) -> Iterator[napari.Viewer]:
    """A viewer of usual size without a layer, and without a widget of ours afterwards."""
    shared_viewer.window.resize(*WINDOW)
    yield shared_viewer
    # Whatever a test did not come to: the next one begins with nothing of it.
    left = [name for name, inner in shared_viewer.window.dock_widgets.items() if hasattr(inner, "session")]
    for name in left:
        inner = shared_viewer.window.dock_widgets[name]
        shared_viewer.window.remove_dock_widget(inner)
        inner.session.close()
        inner.session.wait_closed(10)
    shared_viewer.layers.clear()
    assert not left, f"left open: {left}"


@pytest.fixture
def widget(viewer: napari.Viewer, qtbot: Any) -> Iterator[LiveWidget]:
    """The widget, docked as napari's menu does it."""
    dock, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    yield widget
    session = widget.session
    if any(inner is widget for inner in viewer.window.dock_widgets.values()):
        viewer.window.remove_dock_widget(dock)
    assert session.wait_closed(10)
