"""Every target by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fuzz.fleet import Fleet
from fuzz.lapse import Lapse
from fuzz.picture import Picture
from fuzz.segment import Facts, Segment
from fuzz.status import Status
from fuzz.stream import Stream

if TYPE_CHECKING:
    from fuzz.campaign import Target

TARGETS: dict[str, Target] = {
    target.name: target for target in (Stream(), Status(), Picture(), Segment(), Facts(), Fleet(), Lapse())
}
