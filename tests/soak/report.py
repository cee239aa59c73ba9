"""What a soak found, in words and figures."""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soak.recovery import RECOVERY_S, Recoveries
from soak.users import Hands, Looker, Overseer, Reader, SetTaker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import espressoscope as es
    from soak.findings import Findings
    from soak.ledger import Account
    from soak.recordings import Recordings
    from soak.recovery import Watch
    from soak.users import Shown, User
    from soak.vitals import Vitals

__all__ = ["KEPT", "Report"]

KEPT = 0.99


@dataclass
class Report:
    """Filled by `soak.run`; `text` puts it on a page."""

    seconds: float
    findings: Findings
    recoveries: Recoveries = field(default_factory=Recoveries)
    closes: list[float] = field(default_factory=list)
    snapshots: list[str] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    log_lines: Counter[str] = field(default_factory=Counter)
    memory: str = ""
    vitals: Vitals | None = None
    recordings: Recordings | None = None
    cpu_s: float = 0.0
    lines: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether all that is required held."""
        return not self.findings.any

    def take(
        self,
        fleet: es.Fleet,
        names: Sequence[str],
        healthy: set[str],
        accounts: Sequence[Account],
        watches: Mapping[str, Watch],
        view: es.PictureView,
        shown: Shown,
    ) -> None:
        """Read the figures of the fleet before it is closed."""
        stats = fleet.stats()
        self.lines.append(
            "camera                 kept  sent  received  lost  damaged  reconnects  longest gap"
        )
        for name, account in zip(names, accounts, strict=True):
            figures = stats[name]
            kind = "healthy" if name in healthy else "snapshots" if name in self.snapshots else "struck"
            self.lines.append(
                f"{name[-22:]:22} {account.kept:6.2%} {account.sent:5} {sum(account.received.values()):9} "
                f"{account.lost:5} {figures.damaged:8} {figures.reconnects:11} "
                f"{watches[name].longest_s:9.2f} s  {kind} {dict(account.received)}"
            )
            if name in healthy and account.kept < KEPT:
                self.findings.add("healthy", f"{name} kept {account.kept:.2%} of {account.sent} frames")
        if view.errors:
            self.findings.add("view", f"{view.errors} errors")
        if not shown.pictures:
            self.findings.add("view", "it has shown no picture")
        if self.recoveries.struck and not any(self.recoveries.hits.values()):
            self.findings.add("faults", f"none has touched anything: {dict(self.recoveries.struck)}")
        self.lines.append(
            f"view: {sum(shown.pictures.values())} pictures, {view.superseded} superseded, "
            f"{view.failed} not decodable"
        )
        for user in self.users:
            self._describe(user)

    def _describe(self, user: User) -> None:
        if isinstance(user, Overseer):
            self.lines.append(f"states seen: {dict(user.states)}; our threads at most: {user.threads}")
            self.lines += [f"message x{count}: {text}" for text, count in user.messages.most_common(12)]
        elif isinstance(user, Looker):
            self.lines.append(
                f"latest(timeout=0.5): {user.taken} frames, longest call {user.longest_s:.2f} s"
            )
        elif isinstance(user, Hands):
            self.lines.append(f"done: {dict(user.done)}; refused: {dict(user.refused)}")
        elif isinstance(user, SetTaker):
            self.lines.append(f"sets: {user.taken}, {user.filled} of {user.places} places filled")
            if not user.filled:
                self.findings.add("sets", "no frame was in any of them")
        elif isinstance(user, Reader) and user.dropped:
            self.lines.append(f"{user.name}: {user.dropped} frames dropped because the reader was slow")

    def table(self) -> list[str]:
        """Give recovery times by fault."""
        rows = [
            "fault          struck    hits  recovered   from its end: median    max   > 3 s"
            "   from when served: median    max"
        ]
        recoveries = self.recoveries
        for name in sorted(recoveries.struck):
            ends, served = recoveries.from_end_s[name], recoveries.from_served_s[name]
            if not served:
                rows.append(f"{name:13} {recoveries.struck[name]:7} {recoveries.hits[name]:7} {0:10}")
                continue
            late = sum(end_s > RECOVERY_S for end_s in ends)
            rows.append(
                f"{name:13} {recoveries.struck[name]:7} {recoveries.hits[name]:7} {len(served):10}"
                f" {statistics.median(ends):19.2f} s {max(ends):5.2f} s {late:5}"
                f" {statistics.median(served):23.2f} s {max(served):5.2f} s"
            )
        return rows

    def recorded(self) -> str:
        """Say what was recorded."""
        told = self.recordings
        assert told is not None
        return (
            f"recorded and read back: {told.frames} frames, {told.bytes / 1e6:.0f} MB in {told.runs} runs, "
            f"{told.dropped} dropped"
        )

    def text(self) -> str:
        """Put everything on a page."""
        closes = (
            f"median {statistics.median(self.closes):.3f} s, longest {max(self.closes):.3f} s"
            if self.closes
            else "none"
        )
        lines = [
            *self.lines,
            "",
            *self.table(),
            "",
            f"close(), {len(self.closes)} times: {closes}",
            f"memory: {self.memory}",
            *([f"held: {self.vitals.held()}"] if self.vitals is not None else []),
            *([self.recorded()] if self.recordings is not None else []),
            f"processor time: {self.cpu_s:.1f} s",
            *(f"logged x{count}: {line}" for line, count in self.log_lines.most_common(25)),
            "",
        ]
        if self.good:
            lines.append(
                f"Held for {self.seconds:g} s: frames kept, live again within {RECOVERY_S:g} s, nothing left."
            )
        else:
            lines += ["DID NOT HOLD:", *self.findings.lines, f"in all: {dict(self.findings.count)}"]
        return "\n".join(lines)
