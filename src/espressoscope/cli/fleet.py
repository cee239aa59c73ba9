"""``espressoscope fleet``: the laboratory's cameras by name, in its fleet file."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import (
    FAILED,
    WRONG_USE,
    CommandRun,
    JsonOption,
    VerboseOption,
    WrongUse,
    examples,
    fleet_of,
)
from espressoscope.cli.discover import SearchDisplay, in_order, say_why_none
from espressoscope.cli.fleet_file import FileOption, load, meant, member_keys
from espressoscope.cli.output import clean, fitting_table
from espressoscope.cli.profiles import add_profile_commands

__all__ = ["fleet"]

fleet = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@fleet.callback(epilog="Where the file is, and what stands in it: docs/fleet-file.md")
def root(context: typer.Context) -> None:
    """Give cameras names, say where they stand, and give all the same settings.

    All this is kept in the fleet file, lab.toml, which you may edit by hand as well. A name from it does
    wherever a CAMERA is asked for: espressoscope snap A1.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(WRONG_USE)


# ---- add


@fleet.command()
@examples(
    "espressoscope fleet add",
    "espressoscope fleet add 192.168.1.20 --name A1",
    "espressoscope fleet add --network 192.168.1.0/24",
)
def add(
    cameras: Annotated[
        list[str] | None,
        typer.Argument(metavar="CAMERA", help="Host, host:port or URL; all that a search finds if none."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="What to call it, if it is one camera.")
    ] = None,
    network: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="CIDR", help="Search this network only. May be repeated."),
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="N|A-B", help="Ask on this port, or these. May be repeated."),
    ] = None,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Add cameras to the fleet file: those given, or all that a search finds.

    A camera that is in it already, known by its MAC, keeps its name and gets its present address.

    JSON keys: name mac url firmware profile keep_profile plate well state; state is added, updated or known.
    Exit code 1 when a camera does not answer, or none was found.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        if name is not None and len(cameras or ()) != 1:
            raise WrongUse(
                "--name is for one camera", "Give its address too: fleet add 192.168.1.20 --name A1"
            )
        if cameras and (network or port):
            raise WrongUse("--network and --port are for a search", "Leave them out, or the addresses")
        infos = _asked(run, cameras) if cameras else _found(run, network, port)
        states = []
        for info in infos:
            with meant():
                before = lab.find_camera(info)
                after = lab.add(info, name)
            states.append((info, "added" if before is None else "known" if after == before else "updated"))
        lab.save()
        for info, state in states:
            member = lab.find_camera(info)
            # Under another name, if somebody else has added it meanwhile.
            assert member is not None
            run.out.json(**member_keys(member), state=state)
            run.out.say(f"{clean(member.name):<24}  {clean(member.info.shown.url):<28}  {state}")
        if states:
            count = "one camera" if len(lab.members) == 1 else f"{len(lab.members)} cameras"
            run.out.say(f"{count} in {clean(lab.path)}", "dim")


def _asked(run: CommandRun, cameras: list[str]) -> list[es.CameraInfo]:
    """Reach cameras side by side; report those that do not answer."""
    with fleet_of(dict.fromkeys(cameras)) as reached:
        messages = reached.messages()
        infos = [reached[name].info for name, message in messages.items() if not message]
    for name, message in messages.items():
        if message:
            run.code = FAILED
            run.out.error(f"{name}: {message}", f"`espressoscope status {name}` may tell more")
    return infos


def _found(run: CommandRun, network: list[str] | None, port: list[str] | None) -> list[es.CameraInfo]:
    with SearchDisplay(run.out) as display:
        try:
            search = es.discover(network or None, port or None, progress=display.tell)
        except es.DiscoveryError as error:
            raise WrongUse(error.message, error.hint) from error
        infos = in_order(display.follow(search))
    if not infos:
        run.code = FAILED
        say_why_none(run.out, network, narrowed=bool(network or port))
    return infos


# ---- list

_COLUMNS = ("NAME", "MAC", "ADDRESS", "FIRMWARE", "PLATE", "WELL", "PROFILE")
_DISPENSABLE = ("PROFILE", "FIRMWARE", "MAC", "WELL", "PLATE")
_UNLIMITED = 1000


@fleet.command(name="list")
@examples(
    "espressoscope fleet list",
    "espressoscope fleet list --check",
    "espressoscope fleet list --json | jq -r 'select(.plate == null) | .name'",
)
def list_members(
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Ask each whether it answers; note where it is by now in the fleet file."
        ),
    ] = False,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """List the cameras of the fleet file.

    JSON keys: name mac url firmware profile keep_profile plate well; with --check also answers and message.
    Exit code 1 when one does not answer to --check.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file, must_exist=file is not None)
        messages = _checked(lab) if check and lab.members else None
        columns: dict[str, list[Text]] = {name: [] for name in _COLUMNS}
        for member in lab.members.values():
            message = "" if messages is None else messages[member.name]
            run.out.json(
                **member_keys(member), **({"answers": not message, "message": message} if check else {})
            )
            profile = f"{member.profile} (kept)" if member.keep_profile and member.profile else member.profile
            url = member.info.shown.url
            cells = (member.name, member.mac, url, member.firmware, member.plate, member.well, profile)
            for name, cell in zip(_COLUMNS, cells, strict=True):
                columns[name].append(Text(clean(cell or "-")))
            if check:
                answer = Text("no", "red") if message else Text("yes", "green")
                columns.setdefault("ANSWERS", []).append(answer)
        if lab.members:
            width = run.out.console.width if run.out.console.is_terminal else _UNLIMITED
            run.out.table(fitting_table(columns, width, _DISPENSABLE))
        else:
            run.out.say(f"There are no cameras in {clean(lab.path)} yet: espressoscope fleet add finds some.")
        for member_name, message in (messages or {}).items():
            if message:
                run.code = FAILED
                run.out.error(f"{member_name}: {message}")
        if run.code == FAILED:
            run.out.tips(["espressoscope doctor NAME tells why"])


def _checked(lab: es.FleetFile) -> dict[str, str]:
    """Ask all cameras of the file; note where those are that answer."""
    with es.Fleet(lab.members.values()) as reached:
        told = reached.messages()
        infos = {name: camera.info for name, camera in reached.items() if not told[name]}
    for info in infos.values():
        lab.note(info)
    lab.save()
    return {name: told.get(name, "it is the same board as another one") for name in lab.members}


# ---- names and places


@fleet.command()
@examples("espressoscope fleet rename Matchboxscope-1A2B3C A1")
def rename(
    old: Annotated[str, typer.Argument(metavar="NAME", help="What it is called now.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="What to call it.")],
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Give a camera another name; names must differ in more than case.

    JSON keys: those of fleet list.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        with meant():
            member = lab.rename(old, new)
        _saved(run, lab, member, f"{clean(old)} is {clean(member.name)} now")


@fleet.command()
@examples(
    "espressoscope fleet assign A1 A1 --plate 'plate 1' --wells 24",
    "espressoscope fleet assign B3 B3",
    "espressoscope fleet assign B3 --nowhere",
)
def assign(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Which camera.")],
    well: Annotated[str | None, typer.Argument(metavar="WELL", help="A1 to H12.")] = None,
    plate: Annotated[
        str | None, typer.Option(metavar="PLATE", help="Which plate; not needed where there is one only.")
    ] = None,
    wells: Annotated[
        int | None, typer.Option(metavar="N", help="Wells of a new plate: 6, 12, 24, 48 or 96.")
    ] = None,
    nowhere: Annotated[bool, typer.Option("--nowhere", help="It stands on no plate any more.")] = False,
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Say on which plate, and at which well, a camera stands; a well has one camera.

    JSON keys: those of fleet list.
    """
    with CommandRun(as_json, verbose) as run:
        if nowhere == (well is not None or plate is not None):
            raise WrongUse("where does it stand?", "Give a WELL, --plate or both; or else --nowhere")
        lab = load(file)
        with meant("A new plate needs --plate and --wells, for example --plate 'plate 2' --wells 24"):
            member = lab.assign(name, plate, well, wells=wells)
        place = " of ".join(clean(each) for each in (member.well, member.plate) if each) or "no plate"
        _saved(run, lab, member, f"{clean(member.name)} stands at {place}")


@fleet.command()
@examples("espressoscope fleet forget A1", "espressoscope fleet forget A1 A2 A3")
def forget(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Which cameras.")],
    file: FileOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take cameras out of the fleet file, with what is written about them there.

    JSON keys: those of fleet list, as they were.
    """
    with CommandRun(as_json, verbose) as run:
        lab = load(file)
        gone = []
        with meant():
            for name in dict.fromkeys(names):
                member = lab.find(name)
                lab.forget(name)
                gone += [member] if member is not None else []
        lab.save()
        _tell(run, gone, "is forgotten")


def _saved(run: CommandRun, lab: es.FleetFile, member: es.Member, words: str) -> None:
    lab.save()
    run.out.json(**member_keys(member))
    run.out.say(words)


def _tell(run: CommandRun, members: Iterable[es.Member], words: str) -> None:
    for member in members:
        run.out.json(**member_keys(member))
        run.out.say(f"{clean(member.name)} {words}")


add_profile_commands(fleet)
