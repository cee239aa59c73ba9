"""``espressoscope status`` and ``set``: what a camera's settings are, and changing them."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    CameraArgument,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    camera_at,
    examples,
)
from espressoscope.cli.output import Output, clean, plain_table

__all__ = ["keeps_limit", "parse_values", "result_table", "set_settings", "shown", "status"]

_LIMIT = "fps_limit"
_GROUPS = ("picture", "exposure", "light", "focus", "system")


@examples(
    "espressoscope status 192.168.4.1",
    "espressoscope status 192.168.4.1 --json | jq .framesize",
)
def status(camera: CameraArgument, as_json: JsonOption = False, verbose: VerboseOption = False) -> None:
    """Show a camera's settings: what they are, what they may be, what they do.

    JSON: one object, the camera's own status with every value in its type (flags true or false, picture
    sizes by name), and the key camera with its name.
    """
    with CommandRun(as_json, verbose) as run, camera_at(camera) as cam:
        values = dict(cam.status())
        if as_json:
            run.out.json(**{"camera": cam.info.name, **values})
            return
        _show_header(run.out, cam.info)
        settings = dict(cam.settings)
        if not keeps_limit(settings):
            settings.pop(_LIMIT, None)  # nothing that `set` could set
        _show_settings(run.out, settings, values)


def _show_header(out: Output, info: es.CameraInfo) -> None:
    text = Text()
    text.append(clean(info.name), "bold")
    text.append(f"  {clean(info.firmware)}\n")
    text.append(f"control  {clean(info.shown.url)}\nstream   {clean(info.shown.stream_url or 'none')}")
    if info.mac:
        text.append(f"\nMAC      {clean(info.mac)}")
    out.say(text)


def _show_settings(out: Output, settings: Mapping[str, es.Setting], values: Mapping[str, Any]) -> None:
    # Three columns: at eighty, more would leave the words no room.
    table = plain_table("SETTING", "VALUE", "MAY BE, AND WHAT IT DOES")
    groups = dict.fromkeys((*_GROUPS, *(setting.group for setting in settings.values())))
    for group in groups:
        members = [setting for setting in settings.values() if setting.group == group]
        if members:
            table.add_row(Text(group, "bold cyan"))
        for setting in members:
            table.add_row("  " + setting.name, _value(setting), _meaning(setting))
    if settings:
        out.say()
        out.table(table)
    rest = {key: value for key, value in values.items() if key not in settings}
    if rest:
        more = plain_table("WHAT ELSE IT TELLS", "")
        for key, value in rest.items():
            more.add_row("  " + clean(key, 40), clean(shown(value), 200))
        out.say()
        out.table(more)


def _value(setting: es.Setting) -> Text:
    if setting.value is None:
        return Text("" if setting.kind == "action" else "?", "dim")
    return Text(clean(shown(setting.value), 40), "bold")


def _meaning(setting: es.Setting) -> Text:
    text = Text()
    if setting.kind in ("int", "float") and setting.minimum is not None and setting.maximum is not None:
        steps = f" in steps of {setting.step}" if setting.step and setting.step > 1 else ""
        span = f"{shown(setting.minimum)} to {shown(setting.maximum)}{steps} {setting.unit}".rstrip()
        text.append(span + ". ", "cyan")
    elif setting.choices:
        text.append(", ".join(setting.choices) + ". ", "cyan")
    text.append(setting.doc)
    return text


def keeps_limit(settings: Mapping[str, es.Setting]) -> bool:
    """Whether the camera itself keeps ``fps_limit``; else it is this program that asks less often."""
    return "min_frame_time" in settings


def shown(value: object) -> str:
    """Write a setting's value as a person would type it."""
    if value is None:
        return "?"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


@examples(
    "espressoscope set 192.168.4.1 framesize=VGA quality=12",
    "espressoscope set 192.168.4.1 lamp=50 aec=off aec_value=300",
)
def set_settings(
    camera: CameraArgument,
    values: Annotated[list[str], typer.Argument(metavar="KEY=VALUE...", help="One or more settings.")],
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Set one or more settings, read them back, and report what the camera now has.

    All are checked before the first is sent. espressoscope status shows what there is to set.

    JSON: one object per setting, keys camera setting asked actual ok message. Exit code 1 when the camera
    refused one or it did not take, 2 when one is unknown or out of range and nothing was sent.
    """
    with CommandRun(as_json, verbose) as run:
        if "=" in camera and not set(camera) & set("/:.@"):
            raise WrongUse("no camera is named", "Write espressoscope set CAMERA KEY=VALUE, the camera first")
        wanted = parse_values(values)
        with camera_at(camera) as cam:
            name = cam.info.name
            if _LIMIT in wanted and not keeps_limit(cam.settings):
                raise es.UnsupportedError(
                    f"it cannot keep {_LIMIT} when this command has ended",
                    camera=name,
                    hint="espressoscope watch and stream limit it while they run: --fps-limit",
                )
            results = cam.set(strict=False, **wanted)
        for setting, result in results.items():
            run.out.json(
                camera=name,
                setting=setting,
                asked=result.asked,
                actual=result.actual,
                ok=result.ok,
                message=result.message,
            )
        run.out.table(result_table(results))
        missed = [setting for setting, result in results.items() if not result.ok]
        if missed:
            run.code = FAILED
            run.out.error(
                f"{name}: {', '.join(missed)} did not take",
                "Another setting may rule it out (aec_value needs aec=off), or the sensor lacks it",
            )


def parse_values(texts: list[str]) -> dict[str, Any]:
    """Read ``KEY=VALUE`` arguments; what a value means is the camera's to say.

    Raises
    ------
    WrongUse
        One is not of that form, or given twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not equals or not key or not value.strip():
            raise WrongUse(f"{clean(text, 60)!r} is no setting", "Write KEY=VALUE, for example quality=12")
        if key in ("self", "strict"):  # parameters of Camera.set
            raise WrongUse(f"there is no setting {key!r}", "espressoscope status CAMERA shows what there is")
        if key in values:
            raise WrongUse(f"{clean(key, 40)} is given twice", "Give each setting once")
        values[key] = value
    return values


def result_table(results: Mapping[str, es.SetResult]) -> Table:
    """Show what became of settings."""
    table = plain_table("SETTING", "ASKED", "CAMERA SAYS", "")
    for name, result in results.items():
        told = "does not tell" if result.actual is None and result.ok else shown(result.actual)
        mark = Text("ok", "green") if result.ok else Text(clean(result.message, 200) or "did not take", "red")
        table.add_row(clean(name), clean(shown(result.asked), 40), clean(told, 40), mark)
    return table
