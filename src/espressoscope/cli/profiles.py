"""``espressoscope fleet apply``, ``diff`` and ``profile``: the same settings for many cameras."""

import contextlib
from typing import Annotated, Any

import typer
from rich.table import Table

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    WRONG_USE,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    camera_at,
    examples,
)
from espressoscope.cli.control import result_table, shown
from espressoscope.cli.fleet_file import FileOption, chosen, load, meant
from espressoscope.cli.output import clean, plain_table

__all__ = ["add_profile_commands"]

_PROFILES = "`espressoscope fleet profile list` shows what there is"

profile = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def add_profile_commands(fleet: typer.Typer) -> None:
    """Add these commands to ``fleet``."""
    fleet.command()(apply)
    fleet.command()(diff)
    fleet.add_typer(profile, name="profile")


@examples(
    "espressoscope fleet apply leaf",
    "espressoscope fleet apply leaf A1 A2 --keep",
    "espressoscope fleet apply",
)
def apply(
    profile: Annotated[
        str | None, typer.Argument(metavar="PROFILE", help="Which profile; its own for each camera if none.")
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Which cameras; all if none.")
    ] = None,
    keep: Annotated[
        bool | None,
        typer.Option(
            "--keep/--no-keep", help="Let programs that take pictures give it again after a restart, or not."
        ),
    ] = None,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Give cameras the settings of a profile, read them back, and report what each now has.

    The fleet file remembers which profile each is to have. A camera that is not there, and a setting that one
    does not know, keep the others from nothing.

    JSON: one object per camera and setting, keys camera setting asked actual ok message. Exit code 1 when a
    camera did not answer or a setting did not take.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        members = chosen(lab, names)
        with meant(_PROFILES):
            settings = lab.profile(profile) if profile is not None else None
        if profile is None and keep is not None:
            raise WrongUse("--keep is for a profile", "Say which: espressoscope fleet apply PROFILE --keep")
        members = _with_profile(run, members) if settings is None else members
        with es.Fleet(members) as reached:
            reports = reached.apply_profile(settings)
        for name, results in reports.items():
            if isinstance(results, es.CameraError):
                run.fail(results)
                continue
            missed = _tell(run, name, results)
            if profile is not None:
                lab.set_profile(name, profile, keep=keep)
            if missed:
                run.code = FAILED
                run.out.say(f"{clean(name)}: {len(missed)} of {len(results)} settings did not take", "red")
                run.out.table(result_table(missed))
            else:
                run.out.say(f"{clean(name)}: it has all {len(results)} settings")
        lab.save()


@examples(
    "espressoscope fleet diff",
    "espressoscope fleet diff A1 A2",
    "espressoscope fleet diff --profile leaf",
)
def diff(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Which cameras; all if none.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="PROFILE", help="Compare with this one; else each camera with its own."),
    ] = None,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Show where cameras differ from their profile; nothing is changed.

    JSON: one object per camera and setting that differs, keys camera setting asked actual ok message. Exit
    code 1 when something differs or a camera did not answer.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        members = chosen(lab, names)
        with meant(_PROFILES):
            settings = lab.profile(profile) if profile is not None else None
        members = _with_profile(run, members) if settings is None else members
        with es.Fleet(members) as reached:
            reports = reached.compare_profile(settings)
        for name, results in reports.items():
            if isinstance(results, es.CameraError):
                run.fail(results)
                continue
            missed = _tell(run, name, results, differing=True)
            if missed:
                run.code = FAILED
                run.out.say(f"{clean(name)}: {len(missed)} of {len(results)} settings differ")
                run.out.table(_difference_table(missed))
            else:
                run.out.say(f"{clean(name)}: as it should be")


def _with_profile(run: CommandRun, members: "list[es.Member]") -> "list[es.Member]":
    """Give the cameras that have a profile; say which have none."""
    able = [member for member in members if member.profile is not None]
    if not able:
        raise WrongUse("none of these cameras has a profile", "Say which: espressoscope fleet apply PROFILE")
    if len(able) < len(members):
        without = ", ".join(member.name for member in members if member not in able)
        run.out.warn(f"Without a profile, left as they are: {without}")
    return able


def _tell(
    run: CommandRun, name: str, results: dict[str, es.SetResult], *, differing: bool = False
) -> dict[str, es.SetResult]:
    """Report one camera as JSON; give the settings that are not as they should be."""
    for setting, result in results.items():
        if not (differing and result.ok):
            run.out.json(
                camera=name,
                setting=setting,
                asked=result.asked,
                actual=result.actual,
                ok=result.ok,
                message=result.message,
            )
    return {setting: result for setting, result in results.items() if not result.ok}


def _difference_table(results: dict[str, es.SetResult]) -> Table:
    table = plain_table("SETTING", "PROFILE", "CAMERA", "")
    for name, result in results.items():
        words = "" if result.actual is not None else clean(result.message, 200)
        table.add_row(
            "  " + clean(name), clean(shown(result.asked), 40), clean(shown(result.actual), 40), words
        )
    return table


# ---- profiles themselves


@profile.callback()
def root(context: typer.Context) -> None:
    """Keep settings of cameras under a name, in the fleet file."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(WRONG_USE)


@profile.command()
@examples("espressoscope fleet profile save leaf --from A1")
def save(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="What to call it.")],
    source: Annotated[
        str, typer.Option("--from", metavar="CAMERA", help="Whose settings: a name, host, host:port or URL.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Replace a profile of this name.")] = False,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Keep a camera's settings as a profile: all that pictures depend on and the camera tells.

    JSON keys: profile settings cameras.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        with contextlib.suppress(KeyError):
            known = lab.profile_name(name)
            if not force:
                raise WrongUse(f"there is a profile {known} already", "Choose another name, or add --force")
        member = lab.find(source)
        with camera_at(source) if member is None else es.Camera(member) as camera:
            settings = camera.take_profile()
            called = camera.info.name
        with meant(_PROFILES):
            lab.put_profile(name, settings)
        lab.save()
        run.out.json(**_profile_keys(lab, name))
        run.out.say(f"{len(settings)} settings of {clean(called)} are profile {clean(name)} now")


@profile.command(name="list")
@examples("espressoscope fleet profile list", "espressoscope fleet profile list leaf")
def list_profiles(
    name: Annotated[str | None, typer.Argument(metavar="PROFILE", help="Show this one's settings.")] = None,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the profiles, or the settings of one.

    JSON keys: profile settings cameras; cameras are those that are to have it.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file, must_exist=file is not None)
        with meant(_PROFILES):
            names = list(lab.profiles) if name is None else [name]
            keys = [_profile_keys(lab, each) for each in names]
        table = plain_table("PROFILE", "SETTINGS", "CAMERAS")
        for each in keys:
            run.out.json(**each)
            table.add_row(
                clean(each["profile"]), str(len(each["settings"])), clean(", ".join(each["cameras"]))
            )
        if name is not None:
            table = plain_table("SETTING", "VALUE")
            for setting, value in keys[0]["settings"].items():
                table.add_row(clean(setting), clean(shown(value)))
        if keys:
            run.out.table(table)
        else:
            run.out.say("There are no profiles yet: espressoscope fleet profile save NAME --from CAMERA")


@profile.command(name="forget")
@examples("espressoscope fleet profile forget leaf")
def forget_profile(
    name: Annotated[str, typer.Argument(metavar="PROFILE", help="Which one.")],
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take a profile out of the fleet file; no camera may be meant to have it.

    JSON keys: profile settings cameras, as they were.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        with meant(_PROFILES):
            keys = _profile_keys(lab, name)
            lab.forget_profile(name)
        lab.save()
        run.out.json(**keys)
        run.out.say(f"{clean(keys['profile'])} is forgotten")


def _profile_keys(lab: "es.FleetFile", name: str) -> dict[str, Any]:
    written = lab.profile_name(name)
    cameras = [member.name for member in lab.members.values() if member.profile == written]
    return {"profile": written, "settings": dict(lab.profile(written)), "cameras": cameras}
