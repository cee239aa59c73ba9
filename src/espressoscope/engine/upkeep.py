"""The settings a camera is to have: compared, given to it, and given again after it has lost them.

A board forgets at every restart what was not saved in it. What it is to keep is looked after before pictures
are taken: when a stream begins, after every break long enough for a restart, and before a still.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from espressoscope.device.camera import same_value
from espressoscope.device.snapshots import capture_fresh
from espressoscope.engine.pace import BRAKE, FPS_LIMIT
from espressoscope.errors import CameraError, SettingError, UnsupportedError
from espressoscope.model import SetResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.device.camera import CameraDevice
    from espressoscope.engine.session import CameraSession
    from espressoscope.model import SettingValue

__all__ = ["Upkeep"]

_FPS_TOLERANCE = 0.025
"""``min_frame_time`` is in whole milliseconds: 60 frames a second become 58.8."""

_log = logging.getLogger(__name__)


class Upkeep:
    """Looks after the settings of one camera.

    Parameters
    ----------
    session : CameraSession
        Whose.

    Attributes
    ----------
    own : Mapping of str to value
        The profile that the fleet file gives this camera; empty for none.
    wanted : dict of str to value
        What it is to keep; empty for nothing.
    """

    def __init__(self, session: CameraSession) -> None:
        self._session = session
        self.own: Mapping[str, SettingValue] = {}
        self.wanted: dict[str, SettingValue] = {}

    async def apply(
        self, profile: Mapping[str, SettingValue] | None, *, keep: bool = False
    ) -> dict[str, SetResult]:
        """Give the camera a profile; what it has already is not sent, what it cannot have is reported.

        Parameters
        ----------
        profile : Mapping of str to value or None
            None: its own.
        keep : bool
            See to it from now on that it has these.

        Raises
        ------
        UnsupportedError
            It cannot be set, or has no profile.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        profile = self._chosen(profile)
        await self._read()
        if keep:
            self.wanted = dict(profile)
        return await self._give(profile)

    async def compare(self, profile: Mapping[str, SettingValue] | None) -> dict[str, SetResult]:
        """Tell what the camera has of a profile (None: its own); nothing is set.

        Raises
        ------
        UnsupportedError
            It cannot be set, or has no profile.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        profile = self._chosen(profile)
        await self._read()
        device = self._session.controls
        return {name: self._state(device, name, value)[0] for name, value in profile.items()}

    async def assure(self, *, flush: bool = False) -> None:
        """See to it, before pictures are taken, that the camera has what it is to keep.

        Parameters
        ----------
        flush : bool
            Throw away the pictures that wait in the device, if anything had to be set.

        A limit of its frame rate may turn streams into single pictures: what begins asks for the source
        afterwards.

        Raises
        ------
        ConnectError
            Another camera has taken its place; or it cannot be reached any more.
        CameraTimeout, RemoteProtocolError
        """
        session = self._session
        device = session.device
        wanted = dict(self.wanted)
        if session.pace.promised and device is not None:
            kept = any(name == FPS_LIMIT or device.table.means(name, BRAKE) for name in wanted)
            wanted.update({} if kept else {FPS_LIMIT: session.pace.promised})
        if not wanted or device is None:
            return
        await session.verify_if_doubtful()
        results = await self._give(wanted, lost_only=True)
        if results:
            missed = [name for name, result in results.items() if not result.ok]
            _log.warning(
                "%s had lost settings, as a restart does; given again: %s%s",
                session.info.name,
                ", ".join(results),
                f"; not taken: {', '.join(missed)}" if missed else "",
            )
            if flush:
                await capture_fresh(session.controls.port, session.controls.snapshot_path(), flushed=1)

    def note(self, values: Mapping[str, SettingValue]) -> None:
        """Take note that somebody set these on purpose: that is what it is to keep now."""
        device = self._session.device
        if device is not None and self.wanted:
            for name, value in values.items():
                for kept in self.wanted:
                    if kept == name or (kept in device.settings() and device.table.means(name, kept)):
                        self.wanted[kept] = value

    def _chosen(self, profile: Mapping[str, SettingValue] | None) -> Mapping[str, SettingValue]:
        chosen = self.own if profile is None else profile
        if not chosen:
            raise UnsupportedError(
                "it has no profile" if profile is None else "this profile is empty",
                camera=self._session.camera,
                hint="`espressoscope fleet apply PROFILE` gives it one",
            )
        return chosen

    async def _read(self) -> None:
        with contextlib.suppress(UnsupportedError):
            await self._session.status()

    async def _give(
        self, profile: Mapping[str, SettingValue], *, lost_only: bool = False
    ) -> dict[str, SetResult]:
        device = self._session.controls
        states = {name: self._state(device, name, value) for name, value in profile.items()}
        able = {name: place for name, (_, place) in states.items() if place}
        todo = {name for name in able if not states[name][0].ok}
        if todo or not lost_only:  # what it does not tell may be lost too
            todo |= {name for name in able if states[name][0].actual is None}
        # In the order of the table: automatic exposure before its time, automatic gain before its own.
        order = list(self._session.settings())
        sent = {name: profile[name] for name in sorted(todo, key=lambda name: order.index(able[name]))}
        results = await self._session.set(sent, strict=False, restart=not lost_only) if sent else {}
        return (
            results if lost_only else {name: results.get(name, state) for name, (state, _) in states.items()}
        )

    def _state(self, device: CameraDevice, name: str, value: SettingValue) -> tuple[SetResult, str]:
        """Tell what the camera has of a setting, as last read, and its canonical name, "" if it has none."""
        if name == FPS_LIMIT:
            return self._limit_state(device, value)
        try:
            spec = device.table.spec(name)
            wanted = device.table.check(spec, value)
        except SettingError as error:
            return SetResult(value, None, ok=False, message=error.message), ""
        actual = device.table.value_of(spec)
        if actual is None:
            return SetResult(value, None, ok=True, message="the camera does not tell this one"), spec.name
        if same_value(spec, actual, wanted):
            return SetResult(value, actual, ok=True), spec.name
        return SetResult(
            value, actual, ok=False, message=f"wanted {wanted}, the camera has {actual}"
        ), spec.name

    def _limit_state(self, device: CameraDevice, value: SettingValue) -> tuple[SetResult, str]:
        try:
            limit = self._session.pace.plan(device, {FPS_LIMIT: value}).limit or 0.0
        except CameraError as error:
            return SetResult(value, None, ok=False, message=error.message), ""
        setting = self._session.settings().get(FPS_LIMIT)
        actual = setting.value if setting is not None else None
        if not isinstance(actual, int | float):
            return SetResult(value, None, ok=False, message="the camera has no such setting"), ""
        ok = abs(actual - limit) <= _FPS_TOLERANCE * limit
        message = "" if ok else f"wanted {limit:g}, the camera has {actual:g}"
        return SetResult(value, actual, ok=ok, message=message), FPS_LIMIT
