"""What the ``fleet`` commands share: the file and its option, names that are none, members as JSON."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

import espressoscope as es
from espressoscope.cli.common import WrongUse

__all__ = ["FileOption", "chosen", "load", "meant", "member_keys"]

FileOption = Annotated[
    str | None,
    typer.Option(
        "--file", metavar="PATH", help="Fleet file; else $ESPRESSOSCOPE_FLEET, lab.toml here, or your own."
    ),
]


def load(file: str | None, *, must_exist: bool = False) -> "es.FleetFile":
    """Read the fleet file; one that is not there is empty, unless it must exist."""
    return es.FleetFile.load(file, must_exist=must_exist)


@contextlib.contextmanager
def meant(hint: str = "`espressoscope fleet list` shows what there is") -> Iterator[None]:
    """Turn names, wells and plates that do not fit into wrong use."""
    try:
        yield
    except (KeyError, ValueError) as error:
        if isinstance(error, es.CameraError):
            raise
        raise WrongUse(str(error.args[0]), hint) from error


def chosen(lab: "es.FleetFile", names: Iterable[str] | None) -> "list[es.Member]":
    """Give the members of these names; all, if none are given.

    Raises
    ------
    WrongUse
        There is none of such a name, or none at all.
    """
    if not lab.members:
        raise WrongUse(f"there are no cameras in {lab.path}", "`espressoscope fleet add` adds some")
    members = []
    for name in dict.fromkeys(names or lab.members):
        member = lab.find(name)
        if member is None:
            hint = "`espressoscope fleet list` shows what there is"
            with contextlib.suppress(KeyError):
                profile = lab.profile_name(name)
                hint = f"{profile} is a profile: fleet diff --profile {profile}, or fleet apply {profile}"
            raise WrongUse(f"{lab.path} has no camera {name!r}", hint)
        members.append(member)
    return members


def member_keys(member: "es.Member") -> dict[str, Any]:
    """Give a member as ``--json`` shows it."""
    keys = ("name", "mac", "url", "firmware", "profile", "keep_profile", "plate", "well")
    return {key: getattr(member, key) for key in keys} | {"url": member.info.shown.url or None}
