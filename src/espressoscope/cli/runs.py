"""``espressoscope info`` and ``espressoscope repair``: what is in a recording, and bringing one in order."""

from pathlib import Path
from typing import Annotated, Final

import typer

import espressoscope as es
from espressoscope.cli.common import CommandRun, JsonOption, VerboseOption, examples
from espressoscope.cli.output import clean, iso_utc, plain_table

__all__ = ["info", "repair"]

_MOST_NAMES: Final = 10

RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="The folder that was recorded to.")]


@examples("espressoscope info run-01", "espressoscope info run-01 --json | jq .gaps")
def info(run: RunArgument, as_json: JsonOption = False, verbose: VerboseOption = False) -> None:
    """Tell what is in a recording; also in one under way, killed, or copied in part.

    JSON keys: camera frames first last segments gaps damaged bytes; missing pages open unreadable absent; one
    object for each camera. frames counts all that is stored, pages those that are pictures of the recording's
    size, gaps the places where frames are missing, missing how many; open are files without their end, absent
    those that are not here.
    """
    with CommandRun(as_json, verbose) as command:
        opened = es.open_run(run)
        right = [(name, "right") for name in ("frames", "gaps", "missing", "damaged", "files", "MB")]
        table = plain_table("camera", "first", "last", *right)
        unfinished = absent = 0
        for recording in opened.values():
            told = recording.summary()
            for key in ("first", "last"):
                told[key] = None if told[key] is None else iso_utc(told[key])
            command.out.json(**told)
            unfinished += told["open"] + told["unreadable"]
            absent += told["absent"]
            table.add_row(
                clean(recording.name),
                told["first"] or "",
                told["last"] or "",
                *(str(told[key]) for key in ("frames", "gaps", "missing", "damaged", "segments")),
                f"{told['bytes'] / 1e6:.1f}",
            )
        command.out.table(table)
        state = opened.info.get("state")
        if unfinished and state == "recording":
            command.out.say(
                "Not closed: it is being recorded, or was killed: espressoscope repair mends that."
            )
        elif unfinished:
            command.out.say("Some files have no end or cannot be read: try espressoscope repair.")
        if absent:
            command.out.say(f"{absent} files are not here: was everything copied?")
        if opened.absent:
            names = ", ".join(clean(name) for name in opened.absent[:_MOST_NAMES])
            more = len(opened.absent) - _MOST_NAMES
            command.out.say(f"Nothing is here of {names}{f' and {more} more' if more > 0 else ''}.")


@examples("espressoscope repair run-01")
def repair(run: RunArgument, as_json: JsonOption = False, verbose: VerboseOption = False) -> None:
    """Bring a recording in order that was killed or lost its power. Nothing is ever deleted.

    JSON keys: camera segments relinked damaged lines: files that were mended, frames that every TIFF reader
    sees again, frames whose bytes are not those that were written, lines added to frames.csv.
    """
    with CommandRun(as_json, verbose) as command:
        for done in es.repair_run(run):
            command.out.json(**done._asdict())
            if done.segments or done.lines:
                text = (
                    f"{clean(done.camera)}: {done.segments} files mended, {done.relinked} frames linked again"
                )
                command.out.say(text + (f", {done.damaged} damaged" if done.damaged else ""))
            else:
                command.out.say(f"{clean(done.camera)}: in order")
