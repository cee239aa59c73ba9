"""What one camera is and can be told: recognising it, its settings, its motor, its restart.

Asynchronous, and without the stream: `stream.py` opens that, the engine keeps it alive.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from espressoscope.device.control import (
    AUTOFOCUS_TIMEOUT_S,
    REBOOT_TIMEOUT_S,
    REPLY_TIMEOUT_S,
    ControlPort,
)
from espressoscope.device.identify import settings_in
from espressoscope.device.settings import MAX_VALUE_CHARS, SettingTable
from espressoscope.errors import (
    CameraError,
    CameraTimeout,
    ConnectError,
    RemoteProtocolError,
    SettingError,
    UnsupportedError,
)
from espressoscope.model import SetResult
from espressoscope.tables.firmware import sensor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.device.address import Address
    from espressoscope.device.identify import Identity
    from espressoscope.model import Setting, SettingValue
    from espressoscope.tables.settings import SettingSpec

__all__ = ["CameraDevice", "same_value"]

_REBOOT_POLL_S = 0.5
_REBOOT_REQUEST_TIMEOUT_S = 1.5


class CameraDevice:
    """A camera with a control port.

    Parameters
    ----------
    address : Address
        Its control host and port.
    identity : Identity
        As `identify_or_raise` gave it.
    """

    def __init__(self, address: Address, identity: Identity) -> None:
        self.address = address
        self.info = identity.info
        self.family = identity.family
        self.stream = identity.stream
        self.camera = str(replace(address, path=""))
        self.port = ControlPort(address, self.camera)
        sensor = sensor_of(identity.status) or identity.family.sensor
        self.table = SettingTable(identity.family, sensor, self.camera)
        self.table.update(identity.status)

    def settings(self) -> dict[str, Setting]:
        """Give the settings as last read; no request is made."""
        return self.table.settings()

    def snapshot_path(self) -> str:
        """Give the path of single pictures.

        Raises
        ------
        UnsupportedError
            This firmware has none.
        """
        if self.family.snapshot_path is None:
            raise UnsupportedError(
                f"{self.family.title} takes no single pictures", camera=self.camera, hint="Use its stream"
            )
        return self.family.snapshot_path

    async def status(self, frame_size: tuple[int, int] | None = None) -> dict[str, SettingValue | None]:
        """Read `/status` anew.

        Parameters
        ----------
        frame_size : tuple of (int, int), optional
            Width and height of a frame taken under the present framesize: teaches the numbering.

        Raises
        ------
        UnsupportedError
            This firmware has no `/status`.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        raw = await self._read_status(frame_size)
        return self.table.typed(raw)

    async def _read_status(self, frame_size: tuple[int, int] | None) -> Mapping[str, object]:
        path = self._status_path
        if path is None:
            raise UnsupportedError(
                f"{self.family.title} does not tell its settings",
                camera=self.camera,
                hint="Its stream works all the same",
            )
        reply = await self.port.get(path, timeout_s=REPLY_TIMEOUT_S, phase="status", tries=2)
        if reply.status != 200:
            raise RemoteProtocolError(
                f"it does not tell its settings (HTTP {reply.status})",
                sample=reply.body,
                camera=self.camera,
                hint="It may be starting, or updating its firmware: try again in ten seconds",
            )
        try:
            raw = settings_in(reply.body, self.family)
        except RemoteProtocolError as error:
            error.camera = self.camera
            raise
        before = self.framesize_index
        self.table.update(raw)
        index = self.framesize_index
        if frame_size is not None and index is not None and index == before:
            self.table.learn(index, *frame_size)
        return raw

    @property
    def framesize_index(self) -> int | None:
        """The bare number of the framesize as last reported; None when none was."""
        return self.table.framesize_index

    def changes_framesize(self, values: Mapping[str, SettingValue]) -> bool:
        """Tell whether one of these settings, by whatever name, is the framesize."""
        return any(self.table.means(name, "framesize") for name in values)

    @property
    def _status_path(self) -> str | None:
        if self.family.status_command is not None:
            return f"/cm?cmnd={self.family.status_command}"
        return self.family.status_path

    async def set(
        self,
        values: Mapping[str, SettingValue],
        *,
        strict: bool,
        frame_size: tuple[int, int] | None = None,
    ) -> dict[str, SetResult]:
        """Set, read back, report.

        Parameters
        ----------
        values : Mapping of str to value
            All are checked before the first is sent; sent in this order.
        strict : bool
            Raise when the camera refused a value or reports another afterwards.
        frame_size : tuple of (int, int), optional
            As in `status`, for the time before the change.

        Returns
        -------
        dict of str to SetResult
            By the names asked for.

        Raises
        ------
        SettingError
            Unknown name or value out of range (`results` empty, nothing sent); with `strict` also when a
            setting did not take (`results` complete).
        """
        reported = self.table.settings().get("framesize")
        if frame_size is not None and reported is not None and self.changes_framesize(values):
            await self._read_status(frame_size)
        checked = {name: self._checked(name, value) for name, value in values.items()}
        refused: dict[str, str] = {}
        for name, (spec, wanted) in checked.items():
            problem = await self._send(spec, self.table.to_wire(spec, wanted))
            if problem:
                refused[name] = problem
        if self._status_path is not None:
            await self._read_status(None)
        results = {
            name: self._result(values[name], spec, wanted, refused.get(name))
            for name, (spec, wanted) in checked.items()
        }
        failed = {name: result for name, result in results.items() if not result.ok}
        if strict and failed:
            raise SettingError(
                "; ".join(f"{name}: {result.message}" for name, result in failed.items()),
                results=results,
                camera=self.camera,
                hint="Pass strict=False to get a report instead of this error",
            )
        return results

    async def restore_framesize(self, index: int) -> None:
        """Set the framesize by the bare number that `framesize_index` gave before, and read it back.

        Raises
        ------
        SettingError
            It did not take.
        ConnectError, CameraTimeout, RemoteProtocolError
        """
        problem = await self._send(self.table.spec("framesize"), str(index))
        await self._read_status(None)
        if problem or self.framesize_index != index:
            raise SettingError(
                f"its framesize could not be set back ({problem or 'it has another one'})", camera=self.camera
            )

    def _checked(self, name: str, value: SettingValue) -> tuple[SettingSpec, SettingValue]:
        spec = self.table.spec(name)
        return spec, self.table.check(spec, value)

    def _result(
        self, asked: SettingValue, spec: SettingSpec, wanted: SettingValue, problem: str | None
    ) -> SetResult:
        actual = self.table.value_of(spec)
        if problem is None and actual is not None and not same_value(spec, actual, wanted):
            problem = f"asked for {wanted}, the camera has {actual}"
        return SetResult(asked=asked, actual=actual, ok=problem is None, message=problem or "")

    async def _send(self, spec: SettingSpec, value: str, timeout_s: float = REPLY_TIMEOUT_S) -> str | None:
        return await self._control(spec.var, value, timeout_s=timeout_s)

    async def _control(
        self, var: str, value: str, *, timeout_s: float = REPLY_TIMEOUT_S, phase: str = "control"
    ) -> str | None:
        """Send one variable; give what the camera had against it, or None."""
        if self.family.control == "none":
            raise UnsupportedError(f"{self.family.title} cannot be controlled over HTTP", camera=self.camera)
        # The firmware does not undo percent-encoding: values travel raw.
        if self.family.control == "tasmota":
            path = f"/cm?cmnd={var}%20{value}"
        else:
            path = f"/control?var={var}&val={value}"
        reply = await self.port.get(path, timeout_s=timeout_s, phase=phase)
        return None if reply.status == 200 else f"the camera refused {value} (HTTP {reply.status})"

    async def command(
        self, var: str, value: str = "1", *, timeout_s: float = REPLY_TIMEOUT_S, phase: str = "control"
    ) -> None:
        """Make the camera do something.

        Raises
        ------
        UnsupportedError
            It does not know how.
        """
        if self.family.control == "tasmota":
            raise UnsupportedError(f"{self.family.title} has no {var}", camera=self.camera)
        problem = await self._control(var, value, timeout_s=timeout_s, phase=phase)
        if problem is not None:
            raise UnsupportedError(
                f"it does not do {var}: {problem}",
                camera=self.camera,
                hint="This board or firmware has no such function",
            )

    async def autofocus(self, minimum: int, maximum: int, step: int) -> None:
        """Let the camera search its focus; returns when it has finished.

        Raises
        ------
        SettingError
            The range is empty, or the step is 0 (which would restart the device) or points the wrong way.
        CameraTimeout
            Not finished within 60 s.
        """
        if step <= 0 or minimum >= maximum:
            raise SettingError(
                f"autofocus from {minimum} to {maximum} in steps of {step} goes nowhere",
                camera=self.camera,
                hint="Give a minimum below the maximum, and a step of 1 or more",
            )
        value = f"{minimum};{maximum};{step}"
        self._check_length(value, "autofocus")
        await self.command("autofocus", value, timeout_s=AUTOFOCUS_TIMEOUT_S, phase="autofocus")

    async def set_wifi(self, ssid: str, password: str) -> None:
        """Store the name and password of the network to join after the next reboot; sent unencrypted.

        Raises
        ------
        SettingError
            The firmware cannot take a character of them; nothing has been sent, nothing secret is in the
            message.
        UnsupportedError
            The firmware knows no such thing; nothing secret is in that message either.
        """
        for what, text in (("network name", ssid), ("password", password)):
            self._check_length(text, what)
            for character in text:
                if character in " &#%" or not "!" <= character <= "~":
                    raise SettingError(
                        f"this firmware cannot take the character {character!r} of the {what}",
                        camera=self.camera,
                        hint="It takes ASCII without space, & # and %",
                    )
        for var, text in (("ssid", ssid), ("password", password)):
            # Not by command(): its error would quote the value.
            if self.family.control != "var-val" or await self._control(var, text) is not None:
                raise UnsupportedError(
                    f"{self.family.title} takes no network's {'name' if var == 'ssid' else var} this way",
                    camera=self.camera,
                    hint="Its network is set when its firmware is built, or on its own set-up page",
                )

    def _check_length(self, text: str, what: str) -> None:
        if len(text) > MAX_VALUE_CHARS:
            raise SettingError(
                f"the {what} is {len(text)} characters long",
                camera=self.camera,
                hint=f"This firmware takes at most {MAX_VALUE_CHARS}",
            )

    async def reboot(self, *, wait: bool) -> None:
        """Restart the camera.

        The request is never answered: the firmware spins until its 3 s watchdog bites, without closing
        anything.

        Parameters
        ----------
        wait : bool
            Return only when `/status` answers again.

        Raises
        ------
        CameraTimeout
            It is not back after 30 s.
        UnsupportedError
            It knows no such command.
        """
        if self.family.control == "tasmota":  # it answers 200 to any command, known or not
            raise _no_restart(self.camera)
        loop = asyncio.get_running_loop()
        started = loop.time()
        answered = False
        try:
            problem = await self._control("reboot", "1", timeout_s=_REBOOT_REQUEST_TIMEOUT_S, phase="reboot")
        except (CameraTimeout, RemoteProtocolError) as error:
            if isinstance(error, CameraTimeout) and error.phase == "connect":
                raise  # it has not even been asked; anything else is as it should be
        else:
            if problem is not None:
                raise _no_restart(self.camera)
            answered = True
        if not wait:
            return
        # A firmware that answers first restarts a few seconds later (esp32-cam-webserver v5: 3 s).
        away = not answered
        while loop.time() - started < REBOOT_TIMEOUT_S:
            try:
                await self._read_status_once()
            except (CameraTimeout, ConnectError, RemoteProtocolError):
                away = True
            else:
                if away or loop.time() - started > 6:
                    return
            await asyncio.sleep(_REBOOT_POLL_S)
        raise CameraTimeout(
            f"it has not come back within {REBOOT_TIMEOUT_S:g} s of its restart",
            phase="reboot",
            timeout_s=REBOOT_TIMEOUT_S,
            camera=self.camera,
            hint="It may have joined another network: look for its access point, or search with discover",
        )

    async def _read_status_once(self) -> None:
        reply = await self.port.get(self._status_path or "/", timeout_s=2.0, phase="reboot")
        if reply.status != 200:
            raise RemoteProtocolError("not ready yet", camera=self.camera)
        self.table.update(settings_in(reply.body, self.family))

    async def answers(self) -> bool:
        """Tell whether the control port answers at all; it has 3 s to connect, and 3 s to answer."""
        try:
            await self.port.get(self._status_path or "/", timeout_s=3.0, phase="status")
        except CameraError:
            return False
        return True


def _no_restart(camera: str) -> UnsupportedError:
    return UnsupportedError("it cannot restart itself", camera=camera, hint="Switch it off and on")


def same_value(spec: SettingSpec, actual: SettingValue, wanted: SettingValue) -> bool:
    """Tell whether a camera that reports `actual` has what it was asked for."""
    if spec.name == "gainceiling" and isinstance(wanted, int):
        # The driver reports it in a uint8_t (camera_status_t in sensor.h), the large sensors take more.
        return actual == wanted % 256
    return actual == wanted
