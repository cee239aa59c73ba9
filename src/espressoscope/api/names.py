"""Names for the cameras of a fleet: each its own, told apart by what does not change."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from espressoscope.device.address import clean_text

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from espressoscope.engine.session import CameraSession

__all__ = ["unique_names"]


def unique_names(sessions: Sequence[CameraSession], taken: Collection[str] = ()) -> list[str]:
    """Give each camera a name that no other has.

    Its name in the fleet file; else what it calls itself, or its address while that is not known. Boards come
    from the factory with the same name: those of a name that occurs twice, or is `taken`, get the last six
    digits of their MAC behind it, or else the address.

    Parameters
    ----------
    sessions : sequence of CameraSession
        The cameras.
    taken : collection of str
        Names in use.
    """
    own = [clean_text(session.info.name) or session.info.shown.url for session in sessions]
    # Who has a name in the fleet file keeps it, whatever others call themselves.
    given = {session.name for session in sessions if session.name} - set(taken)
    counts = Counter([*own, *given])
    names: list[str] = []
    for session, name in zip(sessions, own, strict=True):
        if session.name in given:
            given.discard(session.name)
            names.append(session.name)
            continue
        address = session.info.shown.url.removeprefix("http://")
        mac = session.info.mac
        candidates = [name] if counts[name] == 1 else []
        if name != address:
            candidates += [f"{name}-{mac.replace(':', '')[-6:]}"] if mac else []
            candidates.append(f"{name}-{address}")
        candidates += (f"{name}-{number}" for number in range(2, len(sessions) + len(taken) + 3))
        names.append(next(each for each in candidates if each not in {*taken, *names, *given}))
    return names
