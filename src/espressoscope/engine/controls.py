"""The settings of a camera in use: read, changed, and what a change means for its stream.

The part of `CameraSession` that the control port serves.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from espressoscope.engine.pace import FPS_LIMIT
from espressoscope.errors import SettingError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from espressoscope.device.address import Address
    from espressoscope.device.camera import CameraDevice
    from espressoscope.engine.demand import Demand
    from espressoscope.engine.link import Link
    from espressoscope.engine.pace import Pace
    from espressoscope.engine.upkeep import Upkeep
    from espressoscope.engine.witness import SizeWitness
    from espressoscope.model import SetResult, Setting, SettingValue

__all__ = ["SessionControls"]


class SessionControls:
    """What can be told to a camera in use; `CameraSession` makes the parts it needs."""

    address: Address
    device: CameraDevice | None
    link: Link
    demand: Demand
    sizes: SizeWitness
    pace: Pace
    upkeep: Upkeep
    place: Mapping[str, str] = {}  # plate and well, where somebody has told them
    pixel_um: float | None = None
    _source: Literal["auto", "mjpeg", "snapshots"]

    @property
    def camera(self) -> str:
        """Its address as errors name it; a password is never part of it."""
        return str(replace(self.address, path=""))

    @property
    def controls(self) -> CameraDevice:
        """The device behind the control port.

        Raises
        ------
        UnsupportedError
            This is a bare MJPEG stream.
        """
        if self.device is None:
            raise UnsupportedError(
                "this is a bare MJPEG stream: it can be watched, not controlled",
                camera=self.camera,
                hint="Give the camera's own address, without a path, to control it",
            )
        return self.device

    @property
    def told(self) -> dict[str, str | float]:
        """What somebody has told of it, which recordings note: plate, well, size of a pixel."""
        return {**self.place, **({} if self.pixel_um is None else {"pixel_um": self.pixel_um})}

    def settings(self) -> dict[str, Setting]:
        """Give its settings as last read; empty for a bare stream, and before it is reached."""
        return {} if self.device is None else self.pace.with_limit(self.device)

    async def status(self) -> dict[str, SettingValue | None]:
        """Read `/status` anew."""
        device = self.controls
        before = device.framesize_index
        try:
            return await device.status(self.sizes.size())
        finally:
            self._note_rate()
            if device.framesize_index != before:  # changed by somebody else: the next frames are old ones
                self.sizes.note_change()

    async def set(
        self, values: Mapping[str, SettingValue], *, strict: bool, restart: bool = True
    ) -> dict[str, SetResult]:
        """Set, read back, report; see `CameraDevice.set`, and `Pace` for ``fps_limit``.

        Parameters
        ----------
        restart : bool
            A running stream begins anew when its frames are to come from elsewhere. False: a stream is just
            about to begin, or none runs; whoever is in `Demand.paused`, and the link itself, could not wait
            for it.
        """
        device = self.controls
        plan = self.pace.plan(device, values, streams=self._source == "mjpeg" and self.demand.wanted)
        if plan.refusal and strict:
            raise SettingError(
                f"{FPS_LIMIT}: {plan.refusal}",
                camera=self.camera,
                hint="End that stream first, or leave its source to 'auto'",
            )
        if plan.sent:
            await self.verify_if_doubtful()  # another board may have its address by now
            device = self.controls
        size = self.sizes.size()
        try:
            if not plan.sent:
                results: dict[str, SetResult] = {}
            elif not device.changes_framesize(plan.sent):
                results = await device.set(plan.sent, strict=strict)
            else:
                with self.sizes.changing():
                    results = await device.set(plan.sent, strict=strict, frame_size=size)
            self.upkeep.note({**values, **plan.sent})
            if self.pace.take(device, plan, results) and restart:
                await self._restart()
        finally:
            self._note_rate()
        return plan.report(device, results)

    async def verify_if_doubtful(self) -> None:
        """Make sure that this is still the same camera, if another one may have taken its place by now."""
        raise NotImplementedError

    async def _restart(self) -> None:
        """Let the running stream begin anew, because it is to come from elsewhere; if it is still wanted."""
        async with self.demand.paused():
            if not self.link.stopped:
                await self.link.stop()

    async def reboot(self, *, wait: bool) -> None:
        """Restart the camera, which may come back with another size; see `CameraDevice.reboot`."""
        with self.sizes.changing():
            await self.controls.reboot(wait=wait)
        if wait:
            await self.upkeep.assure()

    def _note_rate(self) -> None:
        self.link.sensor_fps = None if self.device is None else self.pace.sensor_fps(self.device)
