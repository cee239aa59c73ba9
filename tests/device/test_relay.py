"""Parts of a stream before it is known whose they are."""

from __future__ import annotations

from espressoscope.device.probe import MOST_HELD, Relay
from espressoscope.wire.events import Part


def test_what_is_let_go_or_had_no_room_is_counted() -> None:
    relay = Relay(hold=True)
    for _ in range(MOST_HELD + 3):
        relay.part(Part(memoryview(b"x"), None, True, None, None), 0)
    assert relay.dropped == 3
    relay.let_go()
    relay.let_go()
    assert relay.dropped == MOST_HELD + 3
    taken: list[Part] = []

    class Sink:
        def part(self, part: Part, now_ns: int) -> None:
            taken.append(part)

    relay.pass_on_to(Sink())  # type: ignore[arg-type]
    assert taken == []
