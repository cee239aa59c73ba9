"""However the widget ends, nothing of it is left: no thread, process, socket, layer or callback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from espressoscope.napari_plugin.hook_panel import HookPanel
from espressoscope.napari_plugin.record_panel import RecordPanel
from espressoscope.napari_plugin.sample_data import open_widget
from espressoscope.napari_plugin.snap_panel import SnapPanel
from support import REPO, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import napari

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000


@pytest.fixture(scope="module")
def camera() -> Iterator[sim.SimulatedCamera]:
    with sim.SimulatedCamera(framesize="QVGA", fps=8) as camera:
        yield camera


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def ours() -> list[str]:
    """Name threads of ours, those of the simulator apart."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("espressoscope") and "-sim" not in name]


CLOSING = """
import gc, sys, threading, time, weakref
from qtpy.QtWidgets import QApplication, QPushButton
from napari_support import make_viewer

def spin(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        QApplication.processEvents()
        time.sleep(0.002)

def ours():
    return [each for each in threading.enumerate() if each.name.startswith("espressoscope")]

viewer = make_viewer()

def listeners():
    events = viewer.scene.camera.events
    lists = [events.zoom, events.center, viewer.canvas.events.size, viewer.layers.events.removed]
    counts = [len(each.callbacks) for each in lists]
    return [*counts, len(viewer.mouse_double_click_callbacks)]

before = listeners()
for way in ("x", "remove_dock_widget", "viewer"):
    dock, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    widget.session.add(sys.argv[1:])
    spin(lambda: widget.session.names and widget.screen.passes > 2)
    session = widget.session
    parts = [weakref.ref(each) for each in (widget, session, widget.screen, widget.table, widget.tabs)]
    parts += [weakref.ref(live.layer) for live in widget.screen.layers.values()]
    del widget
    if way == "viewer":
        del dock
        viewer.close()
        spin(lambda: session.closed)
    else:
        if way == "x":
            dock.findChild(QPushButton, "QTitleBarCloseButton").click()
        else:
            viewer.window.remove_dock_widget(dock)
        del dock
        assert session.closed
        spin(lambda: not len(viewer.layers))
        assert listeners() == before, (listeners(), before)
    assert session.wait_closed(10)
    spin(lambda: not ours())
    del session

    def gone():
        gc.collect()
        return not any(part() for part in parts)

    if way != "viewer":
        spin(gone)
    print(way)
"""


def test_what_is_closed_leaves_nothing(camera: sim.SimulatedCamera, deaf: str) -> None:
    # In a program of its own: there nothing but the widget's own doing can keep it alive, and software OpenGL
    # does not stand a second window that comes and goes.
    env = {**os.environ, "PYTHONPATH": str(REPO / "tests")}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", CLOSING, camera.url, deaf],
        capture_output=True,
        text=True,
        timeout=150,
        env=env,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["x", "remove_dock_widget", "viewer"]


def test_closing_while_cameras_are_being_reached_and_searched_for(
    viewer: napari.Viewer, qtbot: Any, deaf: str
) -> None:
    dock, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    widget.session.add([deaf])
    widget.session.find()
    widget.session.simulate(1)
    session = widget.session
    viewer.window.remove_dock_widget(dock)
    assert session.closed
    assert session.wait_closed(10)
    wait_until(lambda: not ours(), 10, what="the end of all threads")


def test_sample_data_of_the_menu(viewer: napari.Viewer, qtbot: Any) -> None:
    viewer.open_sample("espressoscope", "simulated-4")
    widget = open_widget(viewer)
    qtbot.waitUntil(
        lambda: len(widget.session.names) == 4 and len(widget.screen.layers) == 4, timeout=2 * PATIENCE_MS
    )
    names = widget.session.names
    qtbot.waitUntil(lambda: {layer.name for layer in viewer.layers} == set(names), timeout=PATIENCE_MS)
    qtbot.waitUntil(
        lambda: all(widget.table.cameras.text(name, 1) == "live" for name in names), timeout=PATIENCE_MS
    )
    # Another sample takes the place of the first, whose program ends; and so does that of cameras removed.
    (simulator,) = widget.session._roster._simulators
    program = simulator._process
    assert program is not None
    viewer.open_sample("espressoscope", "simulated-1")
    qtbot.waitUntil(
        lambda: len(widget.session.names) == 1 and widget.session.names[0] not in names,
        timeout=2 * PATIENCE_MS,
    )
    assert program.wait(10) is not None
    (simulator,) = widget.session._roster._simulators
    program = simulator._process
    assert program is not None
    widget.session.remove(widget.session.names)
    qtbot.waitUntil(lambda: not widget.session.names and program.poll() is not None, timeout=PATIENCE_MS)
    widget.shut_down()
    assert widget.session.wait_closed(10)
    viewer.window.remove_dock_widget(widget)


SLOW = """
import time

def slow(frame):
    time.sleep(0.7)
    return frame.image()
"""


def test_closing_amid_a_recording_a_function_and_a_snap(
    viewer: napari.Viewer, qtbot: Any, camera: sim.SimulatedCamera, tmp_path: Path
) -> None:
    dock, widget = viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
    session = widget.session
    session.add([camera.url])
    (record,), (hook,), (snap,) = (widget.findChildren(kind) for kind in (RecordPanel, HookPanel, SnapPanel))
    qtbot.waitUntil(lambda: widget.screen.passes > 2 and record.record.isEnabled(), timeout=PATIENCE_MS)
    record.folder.setText(str(tmp_path))
    record.name.setText("run")
    record.record.click()
    (tmp_path / "hooks.py").write_text(SLOW, encoding="utf-8")
    hook.source.setText(f"{tmp_path / 'hooks.py'}:slow")
    hook.start.click()
    (name,) = session.names
    qtbot.waitUntil(
        lambda: record.figures is not None and record.figures.frames > 3 and session.pictures.has_hook(name),
        timeout=PATIENCE_MS,
    )
    snap.snap.click()
    viewer.window.remove_dock_widget(dock)
    assert session.closed
    assert session.wait_closed(10)
    wait_until(lambda: not ours(), 10, what="the end of all threads")
    run = es.open_run(tmp_path / "run")
    assert len(run[name]) > 3
    assert not run[name].unreadable
    qtbot.waitUntil(lambda: not len(viewer.layers), timeout=PATIENCE_MS)
