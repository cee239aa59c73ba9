"""``espressoscope identify``: seeing which of the boards on the bench a camera is."""

from typing import Annotated

import typer

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CameraArgument,
    CommandRun,
    JsonOption,
    VerboseOption,
    camera_at,
    examples,
)
from espressoscope.cli.output import clean

__all__ = ["identify"]


@examples("espressoscope identify A1", "espressoscope identify 192.168.1.20 --times 20")
def identify(
    camera: CameraArgument,
    times: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How often to blink.")] = 5,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Make a camera's lamp blink, to see which one it is; afterwards the lamp is as it was.

    JSON keys: camera url mac firmware blinked. Exit code 1 when the board has no lamp.
    """
    with CommandRun(as_json, verbose) as run, camera_at(camera) as cam:
        info = cam.info.shown
        who = f"{clean(info.name)} at {clean(info.url)}, MAC {clean(info.mac or 'unknown')}"
        run.out.say(f"{who}: look for its lamp ...")
        blinked = True
        try:
            cam.blink(times)
        except es.UnsupportedError as error:
            blinked = False
            run.code = FAILED
            run.out.error(f"{info.name}: {error.message}", "There are other ways to see which one it is")
            run.out.tips(_other_ways(camera, info))
        run.out.json(camera=info.name, url=info.url, mac=info.mac, firmware=info.firmware, blinked=blinked)


def _other_ways(typed: str, info: es.CameraInfo) -> list[str]:
    # An address that was typed may have a password in it; what it is without one, only its user can type.
    address = "ADDRESS" if "@" in typed or "?" in typed else typed
    ways = [
        f"espressoscope watch {address}: cover lenses one by one; with its own covered its KB/s drop",
        f"espressoscope snap {address}: its picture shows where it looks",
        "Switch boards off one by one: espressoscope fleet list --check tells which does not answer",
    ]
    if info.mac:
        ways.insert(
            0, f"Its MAC is {info.mac}: many boards have it on a sticker, and print it on their serial port"
        )
    return ways
