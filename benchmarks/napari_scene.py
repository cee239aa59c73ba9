"""One run of napari with the widget, as `benchmarks.napari_live` starts it: a JSON line a situation."""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.napari_meter import Meter, Shown

LONGEST_S = 60.0
"""Longest wait for anything."""


class Scene:
    """A viewer, and situations in it, each measured while events are processed."""

    def __init__(self, asked: argparse.Namespace) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from benchmarks.napari_meter import Meter

        self.asked = asked
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.viewer: Any = napari.Viewer()
        self.window: Any = self.viewer.window._qt_window
        self.canvas: Any = self.window._qt_viewer.canvas._scene_canvas
        self.window.resize(1900, 1150)
        self._app: Any = QApplication.instance()
        self.meter: Meter = Meter(asked.why)
        self.widget: Any = None
        self.dock: Any = None
        self.shown: Shown | None = None

    def spin(self, until: Callable[[], object] | float) -> bool:
        """Process events for some seconds, or until something is so; false when that took too long."""
        # As a loop of its own: napari's users wait in exec() too.
        from qtpy.QtCore import QEventLoop, QTimer

        loop, timer = QEventLoop(), QTimer()
        seconds = until if isinstance(until, int | float) else LONGEST_S
        end = time.perf_counter() + seconds
        good = [not callable(until)]

        def look() -> None:
            if callable(until) and until():
                good[0] = True
                loop.quit()
            elif time.perf_counter() >= end:
                loop.quit()

        timer.timeout.connect(look)
        timer.start(20)
        loop.exec()
        timer.stop()
        return good[0]

    def measure(
        self,
        what: str,
        act: Callable[[], object] | None,
        until: Callable[[], object] | float,
        after_s: float = 0.5,
        **more: Any,
    ) -> None:
        """Do something, wait for what comes of it and a little longer, and print how it went."""
        self.spin(0.3)
        cameras = len(self.asked.urls)
        self.meter.begin(what)
        if self.shown is not None:
            self.shown.begin()
        began = time.perf_counter()
        if act is not None:
            act()
        call_s = time.perf_counter() - began
        good = self.spin(until)
        took_s = time.perf_counter() - began
        if callable(until):
            self.spin(after_s)
        row = {"what": what, "scene": self.asked.scene, **self.meter.end()}
        row["call_ms"] = round(1000 * call_s, 1)
        if callable(until):
            row["took_s"] = round(took_s, 3) if good else None
        elif self.shown is not None:
            row.update(self.shown.end(cameras))
        print(json.dumps({**row, **more}), flush=True)

    def size(self) -> None:
        """Give the canvas the size asked for; what is beside it takes what it needs."""
        wanted = tuple(self.asked.canvas)
        for _ in range(4):
            self.spin(0.3)
            native = self.canvas.native
            if (native.width(), native.height()) == wanted:
                return
            more = wanted[0] - native.width(), wanted[1] - native.height()
            self.window.resize(self.window.width() + more[0], self.window.height() + more[1])
        raise SystemExit(f"the canvas cannot be {wanted}: it is {native.width(), native.height()}")

    # ---- situations ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the widget as the menu does."""
        from benchmarks.napari_meter import Shown

        self.dock, self.widget = self.viewer.window.add_plugin_dock_widget("espressoscope", "Live cameras")
        self.shown = Shown(self.widget.session, self.widget.screen, self.canvas)
        self.size()
        self.spin(lambda: len(self.viewer.layers))  # the layer that waits for cameras
        self.spin(1.0)

    def states(self) -> list[str]:
        """Tell what each camera is doing."""
        fleet = self.widget.session.fleet
        return [] if fleet is None else [str(stats.state) for stats in fleet.stats().values()]

    def all_live(self) -> bool:
        """Tell whether every camera has a fresh picture on the screen."""
        session, screen = self.widget.session, self.widget.screen
        shown = {name for live in screen.layers.values() for name in live.board.names}
        return len(session.names) == len(self.asked.urls) and all(
            name in shown and (screen.age_s(name) or 99) < 2 for name in session.names
        )

    def connect(self) -> None:
        """Take the cameras in; also how long until all stand in the table."""
        session, urls = self.widget.session, self.asked.urls
        joined: list[float] = []
        began = time.perf_counter()

        def note(name: str) -> None:
            joined.append(time.perf_counter() - began)

        session.camera_added.connect(note)
        self.measure("connect", lambda: session.add(urls), self.all_live)
        session.camera_added.disconnect(note)
        print(
            json.dumps({"what": "add", "scene": self.asked.scene, "added_s": round(max(joined), 3)}),
            flush=True,
        )

    def live(self, what: str = "live") -> None:
        """Look on."""
        self.spin(2.0)
        self.measure(what, None, self.asked.seconds)

    def off_and_on(self, what: str) -> None:
        """Click Live."""
        click = self.widget.live.click
        self.measure(f"{what} off", click, lambda: set(self.states()) == {"stopped"})
        if what == "live":
            self.measure(f"{what} on", click, self.all_live)

    def discovery(self) -> None:
        """Search a network."""
        session = self.widget.session
        ended: list[object] = []
        session.search_ended.connect(ended.append)
        self.measure("discovery", lambda: session.find(self.asked.network), lambda: ended)
        session.search_ended.disconnect(ended.append)

    def snap(self) -> None:
        """Snap all cameras."""
        from espressoscope.napari_plugin.snap_panel import SnapPanel

        (panel,) = self.widget.findChildren(SnapPanel)
        before = len(self.viewer.layers)
        self.measure("snap panel shown", lambda: self.widget.tabs.setCurrentWidget(panel), 2.0)
        self.measure("snap", panel.snap.click, lambda: not panel.busy, after_s=1.0)
        for layer in list(self.viewer.layers)[before:]:
            self.viewer.layers.remove(layer)

    def settings(self) -> None:
        """Open the settings, go to another camera, drag a slider for all."""
        tabs = self.widget.tabs
        index = next(at for at in range(tabs.count()) if tabs.tabText(at) == "Settings")
        panel = tabs.widget(index)
        self.measure("settings shown", lambda: tabs.setCurrentIndex(index), 2.0)
        self.measure("settings of another camera", lambda: panel.camera.setCurrentIndex(1), 2.0)
        panel.scope.setCurrentIndex(2)
        drags = iter(range(10, 30))

        def drag() -> bool:
            value = next(drags, None)
            if value is None:
                return bool(panel.outbox.empty)
            panel.form.asked.emit("quality", value)
            return False

        self.measure("settings of all cameras", None, drag)

    def zoom(self) -> None:
        """Zoom in."""
        camera = self.viewer.scene.camera
        at = camera.zoom

        def step() -> bool:
            camera.zoom = camera.zoom * 1.15
            return bool(camera.zoom > 5 * at)

        self.measure("zoom", None, step, after_s=1.0)
        self.widget.screen.fit()
        self.spin(0.5)

    def trouble(self) -> None:
        """Stop one camera, kill another."""
        if self.asked.stall:
            self.measure("a camera stalls", lambda: os.kill(self.asked.stall, signal.SIGSTOP), 8.0)
        if self.asked.kill:
            self.measure("a camera is switched off", lambda: os.kill(self.asked.kill, signal.SIGKILL), 4.0)

    def floor(self) -> None:
        """Have napari draw one VGA layer as often as it can, which nothing else disturbs."""
        import numpy as np
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QWidget

        beside = QWidget()
        beside.setMinimumWidth(500)  # as the widget's dock
        self.viewer.window.add_dock_widget(beside, area="right")
        picture = np.zeros((480, 640, 3), np.uint8)
        layer = self.viewer.add_image(picture, rgb=True)
        self.size()
        drawn = [0]

        def change() -> None:
            picture[...] = drawn[0] % 256
            layer.refresh(thumbnail=False, extent=False, highlight=False)

        def again(event: object) -> None:
            drawn[0] += 1
            QTimer.singleShot(0, change)

        self.canvas.events.draw.connect(again, position="last")
        change()
        self.spin(2.0)
        before, began, spent = drawn[0], time.perf_counter(), time.process_time()

        def over() -> bool:
            return time.perf_counter() - began > self.asked.seconds

        self.measure("one layer as often as it can", None, over, after_s=0.0)
        count = drawn[0] - before
        fps = count / (time.perf_counter() - began)
        each_ms = 1000 * (time.process_time() - spent) / count  # of all threads, those that draw among them
        self.canvas.events.draw.disconnect(again)
        row = {"what": "one layer as often as it can", "scene": self.asked.scene, "shown_fps": fps}
        print(json.dumps({**row, "refresh_cpu_ms": round(each_ms, 1)}))

    def alone(self) -> None:
        """Do without a plugin what every plugin has napari do."""
        import numpy as np

        viewer, picture = self.viewer, np.zeros((1200, 1600, 3), np.uint8)
        self.measure("idle", None, self.asked.seconds)
        viewer.add_image(picture)  # the first one loads libraries
        self.spin(1.0)
        self.measure("a layer is added", lambda: viewer.add_image(picture), 1.0)
        self.measure("a layer is removed", lambda: viewer.layers.pop(), 1.0)
        self.close_napari("napari closes")

    def close_widget(self) -> None:
        """Click the x of the dock."""
        from qtpy.QtWidgets import QPushButton

        session = self.widget.session
        self.shown = self.widget = None
        x = self.dock.findChild(QPushButton, "QTitleBarCloseButton")
        self.dock = None
        self.measure("the widget closes", x.click, lambda: session.wait_closed(0))

    def close_napari(self, what: str) -> None:
        """Close the window."""
        session = self.widget.session if self.widget is not None else None
        self.shown = self.widget = self.dock = None
        self.measure(what, self.viewer.close, lambda: session is None or session.wait_closed(0), after_s=0.3)


def main(arguments: Sequence[str] | None = None) -> int:
    """Go through the situations of a scene."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scene", required=True)
    parser.add_argument("--urls", nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--network", default="")
    parser.add_argument("--stall", type=int, default=0)
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--canvas", type=int, nargs=2, default=(1312, 951))
    parser.add_argument("--why", type=float)
    scene = Scene(asked := parser.parse_args(arguments))
    scene.spin(2.0)
    gc.collect()
    if asked.urls:
        scene.open()
        if asked.network:
            scene.discovery()
        scene.connect()
        scene.live()
        if asked.all:
            scene.off_and_on("live")
            scene.snap()
            scene.settings()
            scene.zoom()
            scene.trouble()
            scene.off_and_on("dead cameras: live")
            scene.close_widget()
            scene.open()
            scene.asked.urls = asked.urls[:4]
            scene.widget.session.add(scene.asked.urls)
            scene.spin(scene.all_live)
        scene.close_napari("napari closes")
    else:
        scene.floor()
        scene.alone()
    scene.meter.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
