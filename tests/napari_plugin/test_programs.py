"""napari opened from the shell with cameras in it, and the simulated ones of its menu."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from cli_support import Cli
from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.__main__ import begin
from espressoscope.napari_plugin.qt_pair import bad_pair
from espressoscope.napari_plugin.sample_data import open_widget
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import napari

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 40_000


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    runner = Cli(tmp_path)
    yield runner
    runner.close()


@pytest.fixture
def screen(home: Path) -> dict[str, str]:
    """The variables of a program that has a screen."""
    names = ("DISPLAY", "QT_QPA_PLATFORM", "NAPARI_CONFIG")
    return {name: os.environ[name] for name in names if name in os.environ}


def test_view_shows_cameras_of_the_fleet_file_until_ctrl_c(cli: Cli, screen: dict[str, str]) -> None:
    with sim.SimulatedCamera(framesize="QVGA", fps=8) as camera:
        (cli.folder / "lab.toml").write_text(
            f'[cameras.A1]\nurl = "{camera.url}"\nmac = "{camera.mac}"\n', encoding="utf-8"
        )
        running = cli.start("view", "A1", env={**screen, "ESPRESSOSCOPE_FLEET": str(cli.folder / "lab.toml")})
        wait_until(lambda: camera.sent.total > 20, 90, what="pictures that are taken by napari")
        running.send(signal.SIGINT)
        ended = running.finish(30)
    assert (ended.code, ended.out) == (0, ""), ended
    assert "Error" not in ended.err
    assert "Traceback" not in ended.err


def test_demo_ends_with_its_cameras_in_napari(cli: Cli, screen: dict[str, str]) -> None:
    running = cli.start("demo", "--cameras", "2", "--seconds", "0.5", env=screen)
    running.wait_for("6. Opening napari", 60)
    before = len(running.descendants())
    wait_until(lambda: len(running.descendants()) > before or before >= 3, 30, what="napari")
    running.send(signal.SIGTERM)
    ended = running.finish(60)
    assert ended.code == 0, ended
    assert "Traceback" not in ended.err


def test_view_says_why_there_is_no_window(cli: Cli, screen: dict[str, str]) -> None:
    # As where it is not installed: Python reads this before anything else.
    (cli.folder / "sitecustomize.py").write_text("import sys; sys.modules['napari'] = None", encoding="utf-8")
    path = os.pathsep.join([str(cli.folder), str(REPO / "src")])
    said = cli.fails(1, "view", "A1", env={**screen, "PYTHONPATH": path})
    assert 'pip install "espressoscope[napari]" PyQt6' in said
    assert "espressoscope watch A1" in said
    assert "no screen" in cli.fails(1, "view", "A1")
    assert "not the address" in cli.fails(2, "view", "http://:0:0:0", env=screen)


def test_without_cameras_it_looks_for_them(viewer: napari.Viewer, qtbot: Any) -> None:
    with sim.SimulatedCamera(host="127.0.0.1", port=8130, framesize="QVGA", fps=5):
        session = begin(viewer, [])
        widget = open_widget(viewer)
        assert session is widget.session
        assert session.searching
        qtbot.waitUntil(lambda: widget.finder.results.count() > 0, timeout=PATIENCE_MS)
        widget.shut_down()
        assert session.wait_closed(10)
        viewer.window.remove_dock_widget(widget)


def test_a_plate_of_simulated_cameras_from_the_menu(viewer: napari.Viewer, qtbot: Any) -> None:
    from npe2 import PluginManager

    samples = dict(PluginManager.instance().iter_sample_data())["espressoscope"]
    assert [sample.key for sample in samples] == ["simulated-1", "simulated-4", "simulated-24"]
    viewer.open_sample("espressoscope", "simulated-24")
    widget = open_widget(viewer)
    screen = widget.screen
    qtbot.waitUntil(
        lambda: len(widget.session.names) == 24 and "mosaic" in screen.layers and screen.passes > 2,
        timeout=PATIENCE_MS,
    )
    board = screen.layers["mosaic"].board
    assert {board.place(name) for name in board.names} == {
        (row, column) for row in range(4) for column in range(6)
    }
    assert [layer.name for layer in viewer.layers] == ["Cameras"]
    widget.shut_down()
    assert widget.session.wait_closed(10)
    viewer.window.remove_dock_widget(widget)


def test_the_manifest_is_valid_and_the_broken_qt_is_told() -> None:
    from npe2.cli import app
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["validate", "espressoscope"])
    assert done.exit_code == 0, done.output
    assert "valid" in done.output
    assert "PyQt6" in bad_pair("PySide6", "6.12.0", (3, 11))
    for good in (
        ("PySide6", "6.12.0", (3, 12)),
        ("PySide6", "6.10.1", (3, 11)),
        ("PyQt6", "6.12.0", (3, 11)),
    ):
        assert bad_pair(*good) == ""
