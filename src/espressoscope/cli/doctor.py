"""``espressoscope doctor``: what is wrong, in words, and what to try."""

from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    examples,
)
from espressoscope.cli.output import Output, clean

__all__ = ["doctor", "show"]

_MARKS = {True: ("   ok", "green"), None: (" note", "yellow"), False: ("WRONG", "bold red")}


@examples(
    "espressoscope doctor",
    "espressoscope doctor 192.168.4.1",
    "espressoscope doctor 192.168.4.1 --json | jq -r 'select(.ok == false) | .code'",
)
def doctor(
    camera: Annotated[
        str | None,
        typer.Argument(
            metavar="[CAMERA]", help="Name, host, host:port or URL; without it the networks are looked at."
        ),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Find out what is wrong with a camera, or why none is found, and say what to try.

    Looks at this computer's networks, at the camera's ports, its board and a few seconds of its stream. It
    takes 20 s at most. Nothing is set, no single picture is taken, and the stream is given back.

    JSON: one object for each finding, keys code ok words advice; ok is false for a problem, null for
    something to know. Exit code 1 when a problem was found.
    """
    with CommandRun(as_json, verbose) as run:
        try:
            findings = es.diagnose(camera)
        except es.FleetFileError:
            raise
        except es.CameraError as error:  # nothing has been sent: what was typed cannot be looked at
            where = f"{error.camera}: " if error.camera else ""
            raise WrongUse(where + error.message, error.hint) from error
        problems = 0
        with findings:
            for finding in findings:
                problems += finding.ok is False
                run.out.json(code=finding.code, ok=finding.ok, words=finding.words, advice=finding.advice)
                show(run.out, finding)
        if problems:
            run.code = FAILED
            run.out.say(Text(f"{problems} problem{'s' if problems > 1 else ''} found.", "bold red"))
        else:
            run.out.say(Text("All is well.", "bold green"))


def show(out: Output, finding: "es.Finding") -> None:
    """Show one finding, and what to try below it."""
    mark, style = _MARKS[finding.ok]
    text = Text(clean(finding.words))
    if finding.advice:
        text.append("\nTry: " if finding.ok is False else "\n", "dim")
        text.append(clean(finding.advice))
    if out.console.is_terminal:
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(Text(mark, style), text)
        out.table(grid)
        return
    for number, line in enumerate(text.split("\n")):
        out.say(Text.assemble((mark if number == 0 else " " * len(mark), style), " ", line))
