"""``espressoscope simulate``: simulated cameras on the network, for everybody without hardware."""

import os
import time
import zlib
from typing import Annotated

import typer

import espressoscope as es
from espressoscope.cli.common import CommandRun, JsonOption, VerboseOption, WrongUse, examples
from espressoscope.cli.discover import as_keys, camera_table
from espressoscope.cli.output import clean
from espressoscope.cli.parent import Parent

__all__ = ["simulate"]

_TICK_S = 0.5


@examples(
    "espressoscope simulate",
    "espressoscope simulate -n 24 --fps 25 --framesize VGA",
    "espressoscope simulate -n 3 --firmware matchboxscope,camerawebserver --fault stall:after=5,seconds=10",
)
def simulate(
    count: Annotated[
        int, typer.Option("-n", "--count", metavar="N", min=1, max=1000, help="How many cameras.")
    ] = 1,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address of this computer to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            metavar="P", min=0, max=65535, help="Camera i answers on P+2i and streams on P+2i+1; 0: any free."
        ),
    ] = 8080,
    firmware: Annotated[
        str,
        typer.Option(
            metavar="F",
            help="matchboxscope, easytarget, camerawebserver, esphome or tasmota; several, with commas, "
            "are taken in turn.",
        ),
    ] = "matchboxscope",
    fps: Annotated[
        float | None,
        typer.Option(metavar="N", min=0, max=1000, help="Frames a second; otherwise what the sensor gives."),
    ] = None,
    framesize: Annotated[str | None, typer.Option(metavar="F", help="Size at the start, like VGA.")] = None,
    quality: Annotated[
        int | None, typer.Option(metavar="Q", min=0, max=63, help="JPEG quality setting at the start.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="F", help="Something that goes wrong, like stall or cut:every=5. May be repeated."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What they call themselves; several are numbered.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="S", min=0, help="End after so many seconds.")
    ] = None,
    exit_with_parent: Annotated[
        bool, typer.Option("--exit-with-parent", help="End when the program that started this one ends.")
    ] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Run simulated cameras that behave like real ones, until Ctrl-C.

    Faults: slow stall cut wrong-length no-length junk stale-bytes two-jpegs corrupt reboot vanish refuse
    silent-second bad-json stale-capture frozen size-change; options as name:key=value,key=value. All take
    after (seconds until it begins) and seconds (how long it lasts).

    JSON keys: name url stream_url mac firmware, one object a camera as soon as all answer.
    """
    parent = Parent() if exit_with_parent else None
    with CommandRun(as_json, verbose, until_stopped=True) as run:
        from espressoscope.sim import simulate as start

        try:
            # Unlike by place: cameras of two simulators on one network are not each other's doubles.
            cameras = start(
                count,
                _firmwares(firmware),
                host,
                port,
                fps,
                framesize,
                quality,
                fault or (),
                name,
                seed=zlib.crc32(f"{host}:{port or os.getpid()}".encode()),
                keep=0,
            )
            running = cameras.__enter__()
        except ValueError as error:
            if isinstance(error, es.CameraError):
                raise
            raise WrongUse(clean(error), "espressoscope simulate --help tells what there is") from error
        try:
            infos = [camera.info for camera in running]
            if not as_json:
                run.out.table(camera_table(infos, found_by=False))
            run.out.say(
                "Ctrl-C ends" if seconds is None else f"They end after {seconds:g} s, or by Ctrl-C", "dim"
            )
            for info in infos:  # last: who reads them may end the command right away
                run.out.json(**as_keys(info, found_by=False))
            _wait(run, seconds, parent)
        finally:
            cameras.__exit__(None, None, None)


def _firmwares(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()] or [text]


def _wait(run: CommandRun, seconds: float | None, parent: Parent | None) -> None:
    end = None if seconds is None else time.monotonic() + seconds
    while not run.ending.asked:
        left = _TICK_S if end is None else end - time.monotonic()
        if left <= 0 or (parent is not None and not parent.alive):
            return
        run.ending.wait(min(left, _TICK_S))
