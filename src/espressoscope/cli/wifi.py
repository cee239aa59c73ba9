"""``espressoscope wifi``: a new board from its own access point into a network."""

import getpass
import os
import sys
import warnings
from typing import Annotated

import typer
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CameraArgument,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    examples,
)
from espressoscope.cli.output import clean

__all__ = ["wifi"]

_VARIABLE = "ESPRESSOSCOPE_WIFI_PASSWORD"
_STYLES = {True: "green", None: "", False: "bold red"}


@examples(
    "espressoscope wifi 192.168.4.1 --ssid lab",
    "espressoscope wifi 192.168.4.1 --ssid lab --network 192.168.1.0/24 --timeout 300",
)
def wifi(
    camera: CameraArgument,
    ssid: Annotated[str, typer.Option("--ssid", metavar="NAME", help="Name of the network to join.")],
    timeout: Annotated[
        float,
        typer.Option(metavar="S", min=1, max=3600, help="Longest search for it afterwards, in seconds."),
    ] = 180.0,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="CIDR", help="Look for it in this network. May be repeated."),
    ] = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Tell a camera which WiFi to join, restart it, and find it there again.

    A new board makes its own WiFi, Matchboxscope-...: join that first, the camera is 192.168.4.1. The
    password is asked for, or taken from the variable ESPRESSOSCOPE_WIFI_PASSWORD; there is no option for it,
    because other users of a computer see options. Name and password travel to the camera raw and unencrypted.

    JSON: one object for each step, keys code ok words advice name url mac; the last code is found when all
    went well. Exit code 1 when it was not found again in that network.
    """
    with CommandRun(as_json, verbose) as run:
        run.out.warn(
            "Name and password travel to the camera raw and unencrypted: "
            "whoever listens to the network it is in now can read them."
        )
        password = _password(ssid)
        last = None
        try:
            steps = es.join_wifi(camera, ssid, password, timeout=timeout, networks=network or None)
        except es.FleetFileError:
            raise
        except es.CameraError as error:  # nothing has been sent: what was typed cannot be used
            where = f"{error.camera}: " if error.camera else ""
            raise WrongUse(where + error.message, error.hint) from error
        with steps:
            for step in steps:
                last = step
                info = step.camera
                run.out.json(
                    code=step.code,
                    ok=step.ok,
                    words=step.words,
                    advice=step.advice,
                    name=None if info is None else info.name,
                    url=None if info is None else info.shown.url,
                    mac=None if info is None else info.mac,
                )
                run.out.say(Text(clean(step.words), _STYLES[step.ok]))
                if step.advice:
                    run.out.say(Text("  " + clean(step.advice), "" if step.ok is False else "bold"))
        if last is None or last.code != "found":
            run.code = FAILED


def _password(ssid: str) -> str:
    """Take the password from the environment, or ask for it without showing it."""
    given = os.environ.pop(_VARIABLE, None)  # not for programs that this one starts
    if given is not None:
        return given
    if sys.stdin is None or not sys.stdin.isatty():
        raise WrongUse(
            "no password: there is nobody to ask", f"Put it into the variable {_VARIABLE}, or use a terminal"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(f"Password of {clean(ssid, 40)} (empty for an open network): ", sys.stderr)
        except EOFError:
            raise WrongUse(
                "no password: none was typed", "Press Enter alone where the network has none"
            ) from None
        except getpass.GetPassWarning:
            raise WrongUse(
                "no password: it cannot be asked for here without being seen",
                f"Put it into the variable {_VARIABLE}",
            ) from None
