"""A camera's settings: what may be set, what a value means on the wire, what the camera reports.

Values are checked here before anything is sent. On the wire everything is a bare number; here a picture size
has a name, a flag is a bool, and a number has a range.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from espressoscope.errors import SettingError
from espressoscope.model import Setting
from espressoscope.tables.framesizes import index_of, name_of, numberings_with
from espressoscope.tables.settings import SettingSpec, specs_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from espressoscope.model import SettingValue
    from espressoscope.tables.firmware import Family

__all__ = ["SettingTable"]

_TRUE = frozenset({"1", "on", "true", "yes"})
_FALSE = frozenset({"0", "off", "false", "no"})

MAX_VALUE_CHARS = 31
"""Longest value a firmware takes: its query buffers hold 32 bytes (app_httpd.cpp)."""

# Most used first: what a pair of index and size leaves open is decided by what is in the wild.
_LIKELY_NUMBERINGS = ("N6", "N5", "N1", "N2", "N4", "N3")


class SettingTable:
    """The settings of one camera, and the numbering its firmware gives picture sizes.

    Parameters
    ----------
    family : Family
        Firmware family.
    sensor : str
        ``"OV2640"``, ``"OV3660"`` or ``"OV5640"``.
    camera : str
        Named in errors.
    """

    def __init__(self, family: Family, sensor: str, camera: str) -> None:
        self._family = family
        self._sensor = sensor
        self._camera = camera
        self._numbering = family.numbering
        self._reported: Mapping[str, object] = {}
        self._specs: dict[str, SettingSpec] = {}
        self._names: dict[str, str] = {}
        self._build()

    @property
    def sensor(self) -> str:
        """The sensor, as far as `/status` lets tell."""
        return self._sensor

    @property
    def numbering(self) -> str:
        """The framesize numbering in use, ``"N1"`` to ``"N6"``."""
        return self._numbering

    @property
    def framesize_index(self) -> int | None:
        """The bare number of the framesize as last reported; None when none was."""
        spec = self._specs.get("framesize")
        index = None if spec is None or spec.status_key is None else self._reported.get(spec.status_key)
        return index if isinstance(index, int) else None

    def means(self, name: str, canonical: str) -> bool:
        """Tell whether `name` is this setting, under whatever alias."""
        return self._names.get(name) == canonical

    def learn(self, index: int, width: int, height: int) -> bool:
        """Learn the numbering from an index `/status` gave and the size of a frame taken with it.

        Returns
        -------
        bool
            It is another one than was thought.
        """
        fitting = numberings_with(index, width, height)
        if not fitting or self._numbering in fitting:
            return False
        self._numbering = next(name for name in _LIKELY_NUMBERINGS if name in fitting)
        self._build()
        return True

    def update(self, status: Mapping[str, object]) -> None:
        """Take note of a fresh `/status`: which settings there are, and their values."""
        self._reported = status
        self._build()

    def _build(self) -> None:
        known_family = self._family.name != "unknown"
        specs: dict[str, SettingSpec] = {}
        for spec in specs_for(self._family.name, self._sensor, self._numbering):
            reported = spec.status_key is not None and spec.status_key in self._reported
            # A setting that is missing from /status can still be set on a known firmware
            # (CameraWebServer leaves vflip out); of an unknown one only what it names is offered.
            if (reported or known_family) and not self._absent(spec):
                specs[spec.name] = spec
        self._names = {alias: spec.name for spec in specs.values() for alias in (*spec.aliases, spec.name)}
        self._specs = specs  # never changed, only replaced: other threads read it at any moment

    def _absent(self, spec: SettingSpec) -> bool:
        # lamp -1: built without a lamp; setting it answers 500 (app_httpd.cpp, cmd_handler).
        return spec.name in ("lamp", "autolamp") and self._reported.get("lamp") == -1

    def settings(self) -> dict[str, Setting]:
        """Give every setting with the value last reported."""
        return {
            spec.name: Setting(
                name=spec.name,
                value=self._value_of(spec),
                kind=spec.kind,
                minimum=spec.minimum,
                maximum=spec.maximum,
                step=spec.step,
                choices=spec.choices,
                unit=spec.unit,
                group=spec.group,
                doc=spec.doc,
            )
            for spec in self._specs.values()
        }

    def typed(self, status: Mapping[str, object]) -> dict[str, SettingValue | None]:
        """Give a `/status` with every known value in its own type: flags bool, sizes and effects by name."""
        by_key = {spec.status_key: spec for spec in self._specs.values() if spec.status_key}
        result: dict[str, SettingValue | None] = {}
        for key, raw in status.items():
            spec = by_key.get(key)
            if spec is not None:
                result[key] = self._from_wire(spec, raw)
            elif raw is None or isinstance(raw, bool | int | float | str):
                result[key] = raw
        return result

    def spec(self, name: str) -> SettingSpec:
        """Find a setting by canonical name or alias.

        Raises
        ------
        SettingError
            There is no such setting on this camera.
        """
        canonical = self._names.get(name)
        if canonical is None:
            close = difflib.get_close_matches(name.lower(), self._names, n=1)
            shown = name if len(name) <= 40 else name[:40] + "..."
            raise SettingError(
                f"it has no setting {shown!r}",
                camera=self._camera,
                hint=f"Did you mean {close[0]!r}?"
                if close
                else f"It has: {', '.join(sorted(self._specs)) or 'none, this firmware cannot be set'}",
            )
        return self._specs[canonical]

    def value_of(self, spec: SettingSpec) -> SettingValue | None:
        """Give the value last reported; None when this setting is not reported."""
        return self._value_of(spec)

    def check(self, spec: SettingSpec, value: SettingValue) -> SettingValue:
        """Turn what a user gave into the setting's own value.

        Raises
        ------
        SettingError
            It does not fit; nothing has been sent.
        """
        text = str(value).strip()
        result: SettingValue | None = None
        if spec.kind == "bool":
            result = True if text.lower() in _TRUE else False if text.lower() in _FALSE else None
            wanted = "on or off"
        elif spec.kind == "choice":
            result = self._choice(spec, value, text)
            wanted = "one of " + ", ".join(spec.choices)
        else:
            low, high, step = spec.minimum or 0, spec.maximum or 0, spec.step or 1
            number = _as_int(value, text)
            if number is not None and low <= number <= high and (number - low) % step == 0:
                result = number
            wanted = f"a whole number from {low} to {high}" + (f" in steps of {step}" if step > 1 else "")
            wanted += f" ({spec.unit})" if spec.unit else ""
        if result is None:
            raise SettingError(
                f"{spec.name} cannot be {text[:40]!r}", camera=self._camera, hint=f"It must be {wanted}"
            )
        return result

    def _choice(self, spec: SettingSpec, value: SettingValue, text: str) -> str | None:
        by_name = {name.lower(): name for name in spec.choices}
        if text.lower() in by_name:
            return by_name[text.lower()]
        # The tutorial's users know the firmware's bare numbers.
        number = _as_int(value, text)
        if number is None:
            return None
        if spec.name == "framesize":
            name = name_of(self._numbering, number)
            return name if name in spec.choices else None
        return spec.choices[number] if 0 <= number < len(spec.choices) else None

    def to_wire(self, spec: SettingSpec, value: SettingValue) -> str:
        """Write a checked value as the firmware takes it: raw, at most 31 characters."""
        if spec.kind == "choice":
            name = str(value)
            index = index_of(self._numbering, name) if spec.name == "framesize" else spec.choices.index(name)
            return str(index)
        return str(int(value)) if isinstance(value, bool | int | float) else value

    def _value_of(self, spec: SettingSpec) -> SettingValue | None:
        if spec.status_key is None or spec.status_key not in self._reported:
            return None
        return self._from_wire(spec, self._reported[spec.status_key])

    def _from_wire(self, spec: SettingSpec, raw: object) -> SettingValue | None:
        if isinstance(raw, str):
            return raw
        if not isinstance(raw, bool | int | float):
            return None
        if spec.kind == "bool":
            return bool(raw)
        if spec.kind != "choice" or raw != int(raw):
            return raw
        number = int(raw)
        if spec.name == "framesize":
            return name_of(self._numbering, number) or number
        return spec.choices[number] if 0 <= number < len(spec.choices) else number


def _as_int(value: SettingValue, text: str) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    digits = text[1:] if text[:1] in "+-" else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else None
