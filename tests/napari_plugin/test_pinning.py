"""Layers that come and go with the cameras: what they had on the graphics card goes with them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.geometry import MOSAIC, Geometry
from espressoscope.napari_plugin.layers import LiveLayer
from espressoscope.napari_plugin.pictures import Pictures
from espressoscope.napari_plugin.roster import Roster
from espressoscope.napari_plugin.session import LiveSession
from support import REPO, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from espressoscope.napari_plugin.board import Board

PINNING = """
import gc, sys, time
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication
from napari_support import make_viewer, open_screen
from vispy.gloo.globject import GLObject

assert not open_screen()

def spin(condition):
    end = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.002)

def on_the_card():
    return sum(isinstance(each, GLObject) for each in gc.get_objects())

viewer = make_viewer()
frozen = gc.get_freeze_count()
dock, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
came = []
viewer.layers.events.inserted.connect(lambda event: came.append(turn))
turn = 0
widget.session.add(sys.argv[1:])
screen = widget.screen
spin(lambda: "mosaic" in screen.layers and len(viewer.layers) == 1)
first, *others = widget.session.names
counts = []
for _ in range(3):
    screen.pin(first)
    spin(lambda: first in screen.layers and len(viewer.layers) == 2)
    screen.pin(first, False)
    spin(lambda: len(viewer.layers) == 1)
    counts.append(on_the_card())
assert counts[-1] <= counts[0] + 5, counts
came.clear()
for name in others:
    screen._pinned.append(name)
screen.arrange()
while len(screen.layers) < 1 + len(others):
    turn += 1
    QApplication.processEvents()
assert len(set(came)) == len(others), came
gc.collect()
seen = []
screen.painted.connect(lambda: seen.append(1))
spin(lambda: len(seen) > 5)
viewer.window.remove_dock_widget(dock)
assert widget.session.wait_closed(10)
spin(lambda: not len(viewer.layers) and gc.get_freeze_count() == frozen)
viewer.close()
print("ended")
"""


def test_layers_that_go_leave_nothing_on_the_graphics_card() -> None:
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(sim.SimulatedCamera(framesize="QVGA", fps=5)) for _ in range(5)]
        done = subprocess.run(
            [sys.executable, "-X", "faulthandler", "-c", PINNING, *(camera.url for camera in cameras)],
            capture_output=True,
            text=True,
            timeout=150,
            env={**os.environ, "PYTHONPATH": str(REPO / "tests")},
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ended"]


def test_dead_newcomers_hold_up_neither_each_other_nor_the_end_of_live() -> None:
    joined: list[str] = []
    roster = Roster(Pictures(), joined.append, lambda name: None)
    with contextlib.ExitStack() as stack:
        stack.callback(roster.close)
        camera = stack.enter_context(sim.SimulatedCamera(framesize="QVGA", fps=5))
        late = stack.enter_context(sim.SimulatedCamera(framesize="QVGA", fps=5))
        deaf = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        roster.add([camera.url])
        roster.set_live(True)
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in deaf]
        adding = threading.Thread(target=roster.add, args=([*addresses, late.url],))
        adding.start()
        stack.callback(adding.join, 30)
        wait_until(lambda: len(joined) == 2, 5, what="a camera behind four that do not answer")
        assert adding.is_alive()
        roster.set_live(False)
        roster.remove([joined[1]])
        assert adding.is_alive(), "nobody waited for the dead ones"
        roster.close()  # breaks that off
        adding.join(5)
        assert not adding.is_alive()


def test_two_plates_have_wells_of_their_own(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        cameras = [stack.enter_context(sim.SimulatedCamera(framesize="QVGA", fps=5)) for _ in range(2)]
        roster = Roster(Pictures(), lambda name: None, lambda name: None)
        stack.callback(roster.close)
        roster.add([cameras[0].url])
        (shown,) = roster.fleet.names if roster.fleet is not None else ()
        for number, camera in enumerate(cameras):
            path = tmp_path / f"{number}.toml"
            text = f'[plates.P{number}]\nwells = 6\n[cameras.plate{number}]\nurl = "{camera.url}"\n'
            text += f'mac = "{camera.mac}"\nplate = "P{number}"\nwell = "A1"\n'
            path.write_text(text, encoding="utf-8")
            roster.add_fleet_file(str(path))
        assert roster.places[shown] == (0, 0), "shown already, and its well is known now"
        assert roster.places["plate1"] == (3, 0), "below the other's two rows, and one between"


@pytest.mark.filterwarnings("default")
def test_cameras_keep_their_places_when_others_come(
    viewer: napari.Viewer, qtbot: Any, tmp_path: Path
) -> None:
    class Shown:
        """What a screen shows of a mosaic, and no more."""

        def __init__(self) -> None:
            self.geometry = Geometry(session, self.made)
            self.layers: dict[str, LiveLayer] = {}

        def made(self) -> None:
            """Do nothing: `board` looks by itself."""

        def board(self, names: list[str]) -> Board:
            planned: list[Any] = []

            def plan() -> bool:
                planned[:] = [self.geometry.plan([], names, self.layers, viewer, fit=not self.layers)]
                return planned[0] is not None

            qtbot.waitUntil(plan, timeout=20_000)
            item = planned[0][MOSAIC]
            if self.layers:
                self.layers[MOSAIC].show(item.board, item.geometry)
            else:
                self.layers[MOSAIC] = LiveLayer(viewer, item.board, "Cameras", item.geometry, {})
            return item.board

    def places(board: Board, names: list[str]) -> list[tuple[int, int]]:
        return [board.place(name) for name in names]

    with contextlib.ExitStack() as stack:
        session = LiveSession()
        stack.callback(session.wait_closed, 10)
        stack.callback(session.close)
        names = [f"c{number}" for number in range(24)]
        shown = Shown()
        nine = places(shown.board(names[:9]), names[:9])
        assert nine[3] == (1, 0)
        ten = shown.board(names[:10])
        assert places(ten, names[:9]) == nine
        many = shown.board(names)
        assert places(many, names[:10]) == places(ten, names[:10])
        assert many.columns == 5, "as wide as a screen, though it began with nine"
        fewer = shown.board(names[1:])
        assert places(fewer, names[1:]) == places(many, names[1:])

        # Wells are kept, whoever else has none, and who has none does not stand in one.
        cameras = [stack.enter_context(sim.SimulatedCamera(framesize="QVGA", fps=5)) for _ in range(2)]
        text = "[plates.P]\nwells = 24\n"
        for camera, well in zip(cameras, ("B1", "D6"), strict=True):
            text += f'[cameras.{well}]\nurl = "{camera.url}"\nplate = "P"\nwell = "{well}"\n'
        (tmp_path / "plate.toml").write_text(text, encoding="utf-8")
        session.add_fleet_file(str(tmp_path / "plate.toml"))
        qtbot.waitUntil(lambda: len(session.names) == 2, timeout=20_000)
        board = shown.board([*names[1:6], "B1", "D6"])
        assert places(board, ["B1", "D6"]) == [(1, 0), (3, 5)]
        assert board.columns == 6
        others = places(board, names[1:6])
        assert sorted(others) == [(4, column) for column in range(5)], "below the plate, not in free wells"
        assert places(shown.board([*names[1:7], "B1", "D6"]), names[1:6]) == others
        text = text.replace("wells = 24", "wells = 96")
        (tmp_path / "plate.toml").write_text(text, encoding="utf-8")
        session.add_fleet_file(str(tmp_path / "plate.toml"))
        qtbot.waitUntil(lambda: [plate.columns for plate in session.plates] == [12], timeout=20_000)
        larger = shown.board([*names[1:6], "B1", "D6"])
        assert (larger.columns, places(larger, ["B1", "D6"])) == (12, [(1, 0), (3, 5)])
        assert {row for row, _ in places(larger, names[1:6])} == {8}
        without = shown.board(names[1:6])
        assert {row for row, _ in places(without, names[1:6])} == {0}, "no empty rows where the plate was"
