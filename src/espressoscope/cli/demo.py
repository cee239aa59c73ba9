"""``espressoscope demo``: the whole first hour in ten seconds, without hardware."""

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import FAILED, CommandRun, JsonOption, VerboseOption, examples
from espressoscope.cli.contact_sheet import Tile, contact_sheet
from espressoscope.cli.demo_camera import DemoCamera
from espressoscope.cli.discover import SearchDisplay, in_order, say_why_none
from espressoscope.cli.files import put_picture
from espressoscope.cli.naming import file_stem, unique_labels
from espressoscope.cli.output import clean, plain_table
from espressoscope.cli.pictures import output_folder
from espressoscope.cli.simulator import MOST_CAMERAS, SimulatorProcess
from espressoscope.cli.window import INSTALL, open_napari, why_no_window

__all__ = ["FOLDER", "demo"]

FOLDER = Path("espressoscope-demo")
SHEET = "contact-sheet.png"

_MIX = "matchboxscope,easytarget,camerawebserver"
_CAMERAS = 4
_REDRAW_S = 0.5
_SET_S = 20.0
"""Longest wait until a setting of every camera has been changed."""
_SLICE_S = 0.2
_OVERHEAD_S = 120.0
_WINDOW_S = 86_400.0
"""Longest that cameras are simulated for a window."""


@examples(
    "espressoscope demo",
    "espressoscope demo --cameras 12 --seconds 30",
    "espressoscope demo --real",
)
def demo(
    cameras: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=MOST_CAMERAS,
            help="How many; 4 simulated ones if not said, all real ones.",
        ),
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="S", min=0.5, max=86400, help="How long to stream.")
    ] = 10.0,
    no_window: Annotated[
        bool, typer.Option("--no-window", help="Stay in the terminal, also where napari could be opened.")
    ] = False,
    real: Annotated[
        bool, typer.Option("--real", help="Look for cameras on the network instead of simulating some.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Watch cameras being found, set and streamed from; needs no hardware.

    Starts simulated cameras as a program of their own, finds them over the network like real ones, changes a
    setting of each and reads it back, streams from all at once, and leaves a contact sheet and a JPEG from
    every camera in espressoscope-demo/. With --real the setting is put back afterwards. Where there are a
    screen and napari, it then opens napari with the cameras live, until that is closed; not with --json.

    JSON keys: camera url firmware state frames fps kb_per_s width height reconnects damaged path
    contact_sheet ok, one object a camera at the end. Exit code 1 when a camera was not found, not set or did
    not stream.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run, contextlib.ExitStack() as stack:
        folder = output_folder(FOLDER)
        window = not (no_window or as_json) and why_no_window() is None
        _Demo(run, folder, seconds, stack, window=window).run(cameras, real)


class _Demo:
    """One run of the demo, step by step."""

    def __init__(
        self, run: CommandRun, folder: Path, seconds: float, stack: contextlib.ExitStack, *, window: bool
    ) -> None:
        self._run = run
        self._out = run.out
        self._folder = folder
        self._seconds = seconds
        self._stack = stack
        self._window = window
        self._fleet: es.Fleet | None = None
        self._cameras: list[DemoCamera] = []
        self._steps = 0

    def run(self, cameras: int | None, real: bool) -> None:
        infos = self._find_real(cameras) if real else self._find_simulated(cameras or _CAMERAS)
        if not infos:
            return
        self._open(infos, restore=real)
        try:
            self._show_settings()
            self._watch()
        except KeyboardInterrupt:
            self._run.ending.ask()
            self._out.say("Stopped early", "yellow")
        self._stop()
        self._leave_pictures()
        self._show_window()
        self._judge(real)

    # --- finding

    def _step(self, text: str) -> None:
        self._steps += 1
        self._out.say()
        heading = Text(f"{self._steps}. ", "bold cyan")
        heading.append(text, "bold")
        self._out.say(heading)

    def _find_simulated(self, count: int) -> list[es.CameraInfo]:
        self._step(f"Starting {count} simulated camera{'s' if count > 1 else ''}, a program of their own")
        limit_s = self._seconds + (_WINDOW_S if self._window else _OVERHEAD_S)
        options = ["--firmware", _MIX, "--name", "Microscope"]
        simulator = self._stack.enter_context(SimulatorProcess(count, options, limit_s))
        self._step("Looking for cameras on 127.0.0.1, asking each port as on any network")
        expected = [str(camera["url"]) for camera in simulator.cameras]
        with SearchDisplay(self._out) as display:
            search = es.discover("127.0.0.1/32", simulator.ports, progress=display.tell)
            found = {info.url: info for info in display.follow(search)}
        ours = [found[url] for url in expected if url in found]
        others = len(found) - len(ours)
        if others:
            self._out.say(f"({others} more on this computer, not of this demo)", "dim")
        if len(ours) < count:
            self._run.code = FAILED
            self._out.error(
                f"only {len(ours)} of {count} simulated cameras were found",
                "Run it again with --verbose to see why",
            )
        return ours

    def _find_real(self, most: int | None) -> list[es.CameraInfo]:
        self._step("Looking for cameras on the network")
        with SearchDisplay(self._out) as display:
            infos = in_order(display.follow(es.discover(progress=display.tell)))
        if not infos:
            self._run.code = FAILED
            say_why_none(self._out, narrowed=False)
            return []
        return infos[:most]

    # --- setting and streaming

    def _open(self, infos: list[es.CameraInfo], *, restore: bool) -> None:
        self._fleet = fleet = self._stack.enter_context(es.Fleet(infos))
        known = [camera.info for camera in fleet.values()]
        labels = unique_labels([(i.name, i.mac, i.shown.url.removeprefix("http://")) for i in known])
        self._cameras = [
            DemoCamera(camera, label, restore=restore)
            for camera, label in zip(fleet.values(), labels, strict=True)
        ]

    def _show_settings(self) -> None:
        self._step("Changing a setting of each, and asking the camera what it now has")
        pool = ThreadPoolExecutor(len(self._cameras), "espressoscope-demo")
        jobs = [pool.submit(camera.change_a_setting) for camera in self._cameras]
        pool.shutdown(wait=False)
        deadline = time.monotonic() + _SET_S
        while wait(jobs, _SLICE_S).not_done and time.monotonic() < deadline:
            pass
        for job in jobs:
            if job.done():
                job.result()  # nothing, or a mistake of ours
        table = plain_table(
            "CAMERA", "SETTING", ("BEFORE", "right"), ("ASKED", "right"), ("CAMERA SAYS", "right"), ""
        )
        for camera in self._cameras:
            table.add_row(clean(camera.label), *camera.setting_cells())
        self._out.table(table)

    def _watch(self) -> None:
        assert self._fleet is not None
        self._step(
            f"Streaming from {'all at once' if len(self._cameras) > 1 else 'it'} for {self._seconds:g} s"
        )
        self._fleet.start()
        end = time.monotonic() + self._seconds
        display: contextlib.AbstractContextManager[Live | None] = contextlib.nullcontext()
        if self._out.live:
            display = Live(
                console=self._out.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
        with display as live:
            while not self._run.ending.asked and (left := end - time.monotonic()) > 0:
                self._run.ending.wait(min(_REDRAW_S, left))
                self._note()
                if live is not None:
                    live.update(self._table(max(0.0, end - time.monotonic())), refresh=True)

    def _note(self) -> None:
        if self._fleet is not None and self._fleet.names:
            frames = self._fleet.latest(timeout=0)
            for camera, frame in zip(self._cameras, frames.values(), strict=True):
                camera.note(frame)

    def _table(self, left_s: float | None = None) -> Table:
        table = plain_table(
            "NAME",
            "STATE",
            ("FPS", "right"),
            ("KB/S", "right"),
            ("SIZE", "right"),
            ("AGE", "right"),
            ("FRAMES", "right"),
        )
        cameras = self._cameras if left_s is None else self._cameras[: self._out.room]
        for camera in cameras:
            table.add_row(clean(camera.label, 32), *camera.cells())
        if left_s is not None:
            more = len(self._cameras) - len(cameras)
            text = f"and {more} more; " if more else ""
            table.caption = Text(f"{text}{left_s:.0f} s left, Ctrl-C ends", "dim")
            table.caption_justify = "left"
        return table

    def _stop(self) -> None:
        if self._fleet is not None:
            self._fleet.close()

    # --- what is left of it

    def _leave_pictures(self) -> None:
        self._out.table(self._table())
        sheet = None
        with_frames = [camera for camera in self._cameras if camera.frame is not None]
        for camera in with_frames:
            assert camera.frame is not None
            camera.path = self._folder / f"{file_stem(camera.label)}.jpg"
            put_picture(camera.path, camera.frame.jpeg, replace=True)
        if with_frames:
            tiles = [Tile(clean(w.label, 64), [w.info.firmware, *w.rates()], w.frame) for w in self._cameras]
            title = (
                f"{len(self._cameras)} cameras at once, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
            )
            sheet = self._folder / SHEET
            put_picture(sheet, contact_sheet(tiles, title), replace=True)
            self._step(f"Left in {self._folder}: {SHEET} and {len(with_frames)} JPEGs")
        for camera in self._cameras:
            self._out.json(**camera.keys(), contact_sheet=None if sheet is None else str(sheet))

    def _show_window(self) -> None:
        if not self._window or self._run.ending.asked:
            return
        self._step("Opening napari with them live; closing it, or Ctrl-C here, ends the demo")
        if open_napari([camera.info.url for camera in self._cameras]) != 0:
            self._out.warn("napari ended badly; its own words are above")

    def _judge(self, real: bool) -> None:
        failed = [camera for camera in self._cameras if not camera.ok]
        if failed and not self._run.ending.asked:
            self._run.code = FAILED
            for camera in failed:
                self._out.error(f"{camera.label}: {camera.trouble()}", camera.hint())
        if self._run.code == 0:
            self._out.say()
            self._out.say("Try next", "bold cyan")
            address = self._cameras[0].info.url.removeprefix("http://") if real else "127.0.0.1:8080"
            for command, what in _next(address, real, shown=self._window):
                line = Text(f"  {command:<46}")
                line.append(what, "dim")
                self._out.say(line)


def _next(address: str, real: bool, *, shown: bool) -> list[tuple[str, str]]:
    installed = shown or why_no_window({"DISPLAY": "any"}) is None
    simulated = [("espressoscope simulate -n 4 &", "cameras to try the rest on")]
    return [
        *([] if real else simulated),
        ("espressoscope discover", "which cameras are there"),
        (f"espressoscope status {address}", "its settings, and what they do"),
        (f"espressoscope set {address} quality=10", "change one"),
        (f"espressoscope snap {address}", "one picture"),
        (f"espressoscope stream {address} -o frames", "all of them"),
        ("espressoscope watch", "how all cameras are doing"),
        ("espressoscope view", "the same in napari")
        if installed
        else (INSTALL, "to see them live in napari"),
        *([] if real else [("espressoscope demo --real", "the same with real cameras")]),
    ]
