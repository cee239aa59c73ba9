"""``espressoscope stream``: frames as they come, told, counted, and stored where wished."""

import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import (
    CameraArgument,
    CommandRun,
    FpsLimitOption,
    JsonOption,
    VerboseOption,
    camera_at,
    examples,
)
from espressoscope.cli.control import keeps_limit
from espressoscope.cli.files import keep_picture
from espressoscope.cli.naming import file_stem
from espressoscope.cli.output import Output, clean
from espressoscope.cli.pictures import frame_keys, frame_stem, output_folder

__all__ = ["Source", "stream"]

_POLL_S = 0.25
_SILENCE_S = 10.0
"""Without a frame for so long the stream has ended, as `Camera.stream` has it."""
_REPORT_S = 5.0
"""Between two lines where nothing can be redrawn."""


class Source(StrEnum):
    """Where frames come from."""

    AUTO = "auto"
    MJPEG = "mjpeg"
    SNAPSHOTS = "snapshots"


@examples(
    "espressoscope stream 192.168.4.1",
    "espressoscope stream 192.168.4.1 --seconds 10 -o frames/",
    "espressoscope stream 192.168.4.1 --frames 100 --json | jq .received_at",
)
def stream(
    camera: CameraArgument,
    frames: Annotated[int | None, typer.Option(metavar="N", min=1, help="End after so many frames.")] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0.001, help="End after so many seconds.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="Store each frame there, as the camera sent it."),
    ] = None,
    source: Annotated[
        Source, typer.Option(help="snapshots asks for single pictures, for cameras without a stream.")
    ] = Source.AUTO,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Take truncated and corrupt frames too.")
    ] = False,
    fps_limit: FpsLimitOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Stream from a camera until --frames, --seconds or Ctrl-C.

    CAMERA may also be the address of any MJPEG stream, like http://host:8081/?action=stream. Breaks of the
    connection are mended and counted; after 10 s without a frame the command ends with exit code 1.

    JSON keys: camera sequence received_at received_ns bytes width height sha256 status.
    """
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        folder = output_folder(output) if output is not None else None
        with camera_at(camera) as cam:
            if fps_limit is not None:
                _limit(cam, fps_limit, source)
            _Streaming(run, cam, folder, frames, seconds).run(source.value, damaged)


def _limit(camera: "es.Camera", fps_limit: float, source: Source) -> None:
    if fps_limit and source is Source.MJPEG and not keeps_limit(camera.settings):
        raise es.UnsupportedError(
            "its stream cannot be slowed, it can only be asked for single pictures instead",
            camera=camera.info.name,
            hint="Leave --source out, or --fps-limit",
        )
    camera.set(fps_limit=fps_limit)


class _Streaming:
    """One stream from its first frame to its summary."""

    def __init__(
        self,
        run: CommandRun,
        camera: "es.Camera",
        folder: Path | None,
        frames: int | None,
        seconds: float | None,
    ) -> None:
        self._run = run
        self._camera = camera
        self._folder = folder
        self._most = frames
        self._seconds = seconds
        self._name = camera.info.name
        self._stem = file_stem(self._name)
        self._frames = 0
        self._bytes = 0
        self._missing = 0
        self._last_sequence: int | None = None
        self._began = time.monotonic()
        self._newest = self._began
        self._first: float | None = None

    def run(self, source: Any, damaged: bool) -> None:
        """Take frames until the end; then say what there was, whatever the end was."""
        out = self._run.out
        out.say(f"Streaming from {clean(self._name)} ({clean(self._camera.info.shown.url)}); Ctrl-C ends")
        display = _Display(out, self._camera)
        try:
            with display, self._camera.stream(source, timeout=_POLL_S, damaged=damaged) as frames:
                self._began = time.monotonic()
                self._take(frames, display)
        finally:
            self._summarise(self._camera.stats)

    def _take(self, frames: Any, display: "_Display") -> None:
        self._newest = time.monotonic()
        trouble: es.CameraError | None = None
        while not self._over():
            try:
                frame = next(frames)
            except StopIteration:
                return
            except es.CameraError as error:
                trouble = error
                # A short wait of ours ended: time to look at the clock and to redraw, not yet to give up.
                if time.monotonic() - self._newest >= _SILENCE_S:
                    raise self._silence(error) from None
            else:
                self._newest = time.monotonic()
                self._keep(frame)
            display.refresh()
        if not self._frames and trouble is not None and not self._run.ending.asked:
            raise self._silence(trouble)  # its time is over and nothing came

    def _silence(self, error: es.CameraError) -> es.CameraError:
        """Say how long there was nothing, where the stream itself has no better reason."""
        if not isinstance(error, es.CameraTimeout) or error.timeout_s != _POLL_S:
            return error
        return es.CameraTimeout(
            f"no frame for {time.monotonic() - self._newest:.0f} s",
            phase=error.phase,
            timeout_s=_SILENCE_S,
            camera=error.camera,
            hint=error.hint,
        )

    def _over(self) -> bool:
        if self._run.ending.asked or (self._most is not None and self._frames >= self._most):
            return True
        return self._seconds is not None and time.monotonic() - self._began >= self._seconds

    def _keep(self, frame: es.Frame) -> None:
        if self._first is None:
            self._first = time.monotonic()
        if self._last_sequence is not None:
            self._missing += max(0, frame.sequence - self._last_sequence - 1)
        self._last_sequence = frame.sequence
        if self._folder is not None:
            keep_picture(self._folder, frame_stem(self._stem, frame, numbered=True), frame.jpeg)
        self._frames += 1
        self._bytes += len(frame.jpeg)
        if self._run.out.as_json:
            self._run.out.json(camera=self._name, sequence=frame.sequence, **frame_keys(frame))

    def _summarise(self, stats: es.StreamStats) -> None:
        now = time.monotonic()
        elapsed = now - self._began
        # Rates count from the first frame on: the time a camera needs to start is not its frame rate.
        active = now - self._first if self._first is not None else 0.0
        fps = (self._frames - 1) / active if active > 0 and self._frames > 1 else 0.0
        text = f"{self._frames} frames in {elapsed:.1f} s, {fps:.1f} fps"
        if active > 0:
            text += f", {self._bytes / active / 1000:.0f} KB/s"
        text += f"; {self._missing} missing, {stats.damaged} damaged, {stats.reconnects} reconnects"
        if self._folder is not None:
            text += f"; stored in {clean(self._folder)}"
        self._run.out.say(text)


class _Display:
    """The line about the stream: redrawn on a terminal, printed now and then elsewhere."""

    def __init__(self, out: Output, camera: "es.Camera") -> None:
        self._out = out
        self._camera = camera
        self._every_s = _POLL_S if out.live else _REPORT_S
        self._next = time.monotonic() + self._every_s
        self._live = (
            Live(
                console=out.console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            if out.live
            else None
        )

    def __enter__(self) -> "_Display":
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)

    def refresh(self) -> None:
        """Show the present figures, when it is time to."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._every_s
        line = _line(self._camera.stats)
        if self._live is not None:
            self._live.update(line, refresh=True)
        else:
            self._out.say(line.plain)


def _line(stats: es.StreamStats) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    live = stats.state in (es.LinkState.LIVE, es.LinkState.SLOW)
    text.append(str(stats.state), "bold green" if live else "bold yellow")
    size = f"{stats.width}x{stats.height}" if stats.width else "no frame yet"
    text.append(f"  {stats.fps:.1f} fps  {stats.kb_per_s:.0f} KB/s  {size}  {stats.frames} frames")
    if stats.age_s is not None and stats.age_s >= 1:
        text.append(f"  age {stats.age_s:.1f} s", "yellow")
    for name, count in (
        ("damaged", stats.damaged),
        ("reconnects", stats.reconnects),
        ("dropped", stats.dropped),
    ):
        if count:
            text.append(f"  {count} {name}", "yellow")
    if stats.frozen:
        text.append("  picture frozen", "red")
    return text
