"""One line of the settings form for each kind of setting: the value the camera has, and what was asked for.

A line never sends anything; it says `asked`. What it shows is set by `show_value` alone, with what a camera
has told: a value that was asked for stands there only until the answer has come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qtpy.QtCore import QEvent, QObject, QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QSlider,
    QSpinBox,
    QWidget,
)

from espressoscope.napari_plugin.controls import Words

if TYPE_CHECKING:
    from espressoscope import Setting

__all__ = ["Field", "end_typing", "is_typed_in", "make_field", "title_of"]

TITLES: Final = {
    "ae_level": "Exposure aim",
    "aec": "Auto exposure",
    "aec2": "Night mode",
    "aec_value": "Exposure time",
    "agc": "Auto gain",
    "agc_gain": "Gain",
    "autofocus_interval": "Autofocus at every",
    "autolamp": "Lamp for pictures only",
    "awb": "Auto white balance",
    "awb_gain": "White balance gains",
    "bpc": "Hide dead pixels",
    "colorbar": "Test pattern",
    "dcw": "Scale down in sensor",
    "fps_limit": "Most frames a second",
    "framesize": "Picture size",
    "gainceiling": "Most auto gain",
    "hmirror": "Mirror left-right",
    "lenc": "Lens correction",
    "min_frame_time": "Time between frames",
    "neopixel": "LED ring",
    "pwm": "PWM output",
    "quality": "Compression",
    "raw_gma": "Gamma curve",
    "special_effect": "Effect",
    "stack": "Focus stack (SD)",
    "timelapse": "Time-lapse (SD)",
    "timelapse_interval": "Time-lapse pause",
    "vflip": "Upside down",
    "wb_mode": "White balance for",
    "wpc": "Hide hot pixels",
    "xclk": "Sensor clock",
}
"""What people read; settings that are not here are called by their own name."""
UNKNOWN: Final = "unknown"
_WIDEST_INT: Final = 2**31 - 2


class _Calm(QObject):
    """The wheel changes only what was chosen before: scrolling the form must set nothing."""

    def eventFilter(self, watched: Any, event: Any) -> bool:
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False


def is_typed_in(box: Any) -> bool:
    """Tell whether a number is being typed into a spin box: it shows another one than it has."""
    special = box.specialValueText() if box.value() == box.minimum() else ""
    shown = special or f"{box.prefix()}{box.textFromValue(box.value())}{box.suffix()}"
    return bool(box.hasFocus() and box.text() != shown)


def end_typing(box: Any) -> None:
    """Give up what is being typed into a spin box."""
    with QSignalBlocker(box):
        box.setValue(box.value())


class Field(QObject):
    """One setting in the form.

    Parameters
    ----------
    setting : Setting
        What it is; its value is shown.
    parent : QWidget
        The form.

    Attributes
    ----------
    title, editor, note : QWidget
        What it is called, where it is changed, and what is to be said about it; the form lays them out.
    """

    asked = Signal(str, object)
    """Name and value: the user wants this."""

    def __init__(self, setting: Setting, parent: QWidget) -> None:
        super().__init__(parent)
        self.setting = setting
        self.title = QLabel(title_of(setting.name))
        self.title.setWordWrap(True)
        self.editor: QWidget = self._make_editor()
        self.note = Words(quiet=True)
        self.note.setVisible(False)
        tip = f"{setting.doc}\n{setting.name}{_range_of(setting)}"
        for widget in (self.title, self.editor):
            widget.setToolTip(tip)
        self.editor.setAccessibleName(setting.name)
        self.show_value(setting.value)

    @property
    def busy(self) -> bool:
        """Whether the user has hold of it: a value that arrives now must not pull it away."""
        return False

    def let_go(self) -> None:
        """Give up what the user has begun to enter: it was for another camera."""

    def show_value(self, value: object) -> None:
        """Show what the camera has; None: it does not tell."""
        raise NotImplementedError

    def say(self, text: str, *, bad: bool = False) -> None:
        """Say something below the line; "" takes it away."""
        self.note.say(text, bad=bad)
        self.note.setVisible(bool(text))

    def _make_editor(self) -> QWidget:
        raise NotImplementedError

    def _calm(self, widget: Any) -> Any:
        widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        widget.installEventFilter(_Calm(widget))
        return widget

    def _ask(self, value: object) -> None:
        self.asked.emit(self.setting.name, value)


class _NumberField(Field):
    number: QSpinBox | QDoubleSpinBox

    @property
    def busy(self) -> bool:
        return is_typed_in(self.number)

    def let_go(self) -> None:
        end_typing(self.number)


class _IntField(_NumberField):
    def _make_editor(self) -> QWidget:
        setting = self.setting
        low = int(setting.minimum if setting.minimum is not None else -_WIDEST_INT)
        high = int(setting.maximum if setting.maximum is not None else _WIDEST_INT)
        self._low, self._high, self._step = low, high, max(1, int(setting.step or 1))
        box = QWidget()
        line = QHBoxLayout(box)
        line.setContentsMargins(0, 0, 0, 0)
        # In steps: a slider from -90 to 180 in steps of 90 has four places.
        self.slider = self._calm(QSlider(Qt.Orientation.Horizontal))
        self.slider.setMinimumWidth(24)
        self.slider.setRange(0, (high - low) // self._step)
        self.slider.setPageStep(max(1, (high - low) // self._step // 10))
        self.number = self._calm(QSpinBox())
        self.number.setKeyboardTracking(False)
        self.number.setSingleStep(self._step)
        self.number.setSuffix(f" {setting.unit}" if setting.unit else "")
        self.number.setSpecialValueText(UNKNOWN)
        self.slider.valueChanged.connect(self._slid)
        self.number.valueChanged.connect(self._typed)
        line.addWidget(self.slider, 1)
        line.addWidget(self.number)
        box.setFocusProxy(self.slider)
        return box

    @property
    def busy(self) -> bool:
        return bool(self.slider.isSliderDown()) or super().busy

    def show_value(self, value: object) -> None:
        known = isinstance(value, int | float)
        number = int(value) if isinstance(value, int | float) else self._low
        with QSignalBlocker(self.slider), QSignalBlocker(self.number):
            # A camera may have a value its own page could not set; below the lowest stands for unknown.
            lowest = min(self._low, number)
            self.number.setRange(lowest if known else lowest - self._step, max(self._high, number))
            self.number.setSpecialValueText("" if known else UNKNOWN)
            self.number.setValue(number if known else self.number.minimum())
            self.slider.setValue((number - self._low) // self._step)
        self.slider.setEnabled(True)

    def _slid(self, place: int) -> None:
        value = self._low + place * self._step
        self.show_value(value)
        self._ask(value)

    def _typed(self, value: int) -> None:
        if value < self._low:  # up from "unknown"
            value = self._low
        value = self._low + round((min(value, self._high) - self._low) / self._step) * self._step
        self.show_value(value)
        self._ask(value)


class _FloatField(_NumberField):
    def _make_editor(self) -> QWidget:
        setting = self.setting
        self.number = self._calm(QDoubleSpinBox())
        self.number.setKeyboardTracking(False)
        low = setting.minimum if setting.minimum is not None else -1e9
        # 0 stands for none with some settings whose least value is above it; the camera's answer tells.
        self._low = low = min(0.0, float(low))
        self._step = float(setting.step or 1.0)
        self.number.setDecimals(2)
        self._high = float(setting.maximum if setting.maximum is not None else 1e9)
        self.number.setRange(low, self._high)
        self.number.setSingleStep(self._step)
        self.number.setSuffix(f" {setting.unit}" if setting.unit else "")
        self.number.valueChanged.connect(self._typed)
        return self.number

    def show_value(self, value: object) -> None:
        known = isinstance(value, int | float)
        with QSignalBlocker(self.number):
            lowest = (
                min(self._low, float(value)) if isinstance(value, int | float) else self._low - self._step
            )
            self.number.setMinimum(lowest)
            if isinstance(value, int | float):
                self.number.setMaximum(max(self._high, float(value)))
            self.number.setSpecialValueText("" if known else UNKNOWN)
            self.number.setValue(float(value) if isinstance(value, int | float) else self.number.minimum())

    def _typed(self, value: float) -> None:
        value = max(self._low, value)
        self.show_value(value)
        self._ask(value)


class _BoolField(Field):
    def _make_editor(self) -> QWidget:
        self.box = QCheckBox()
        self.box.clicked.connect(self._clicked)
        return self.box

    def show_value(self, value: object) -> None:
        with QSignalBlocker(self.box):
            self.box.setTristate(value is None)
            if value is None:
                self.box.setCheckState(Qt.CheckState.PartiallyChecked)
            else:
                self.box.setChecked(bool(value))
            self.box.setText(UNKNOWN if value is None else "")

    def _clicked(self) -> None:
        wanted = self.box.checkState() != Qt.CheckState.Unchecked
        self.show_value(wanted)
        self._ask(wanted)


class _ChoiceField(Field):
    def _make_editor(self) -> QWidget:
        self.box = self._calm(QComboBox())
        self.box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.box.setMinimumContentsLength(6)
        self.box.addItems(list(self.setting.choices))
        self.box.setPlaceholderText(UNKNOWN)
        self.box.activated.connect(self._chosen)
        return self.box

    def show_value(self, value: object) -> None:
        if self.box.view().isVisible():
            return  # the user is choosing
        with QSignalBlocker(self.box):
            place = self.box.findText(str(value)) if value is not None else -1
            # A number without a name: this firmware's numbering has a size nobody knows.
            self.box.setPlaceholderText(UNKNOWN if value is None else f"{value} (not one of these)")
            self.box.setCurrentIndex(place)

    def _chosen(self, place: int) -> None:
        self._ask(self.box.itemText(place))


class _TextField(Field):
    def _make_editor(self) -> QWidget:
        self.line = QLineEdit()
        self.line.setPlaceholderText(UNKNOWN)
        self.line.returnPressed.connect(self._entered)
        return self.line

    @property
    def busy(self) -> bool:
        return bool(self.line.isModified())

    def let_go(self) -> None:
        self.line.setModified(False)

    def show_value(self, value: object) -> None:
        self.line.setText("" if value is None else str(value))
        self.line.setModified(False)

    def _entered(self) -> None:
        self.line.setModified(False)
        self._ask(self.line.text())


class _ActionField(Field):
    def _make_editor(self) -> QWidget:
        button = QPushButton(self.title.text())
        button.clicked.connect(self._clicked)
        return button

    def show_value(self, value: object) -> None:
        """Do nothing: an action has no value."""

    def _clicked(self) -> None:
        self._ask(True)


_KINDS: Final[dict[str, type[Field]]] = {
    "int": _IntField,
    "float": _FloatField,
    "bool": _BoolField,
    "choice": _ChoiceField,
    "text": _TextField,
    "action": _ActionField,
}


def title_of(name: str) -> str:
    """Say what a setting is called, for people."""
    return TITLES.get(name, name.replace("_", " ").capitalize())


def make_field(setting: Setting, parent: QWidget) -> Field:
    """Make the line that suits a setting's kind; one of a kind nobody knows is text."""
    return _KINDS.get(setting.kind, _TextField)(setting, parent)


def _range_of(setting: Setting) -> str:
    if setting.minimum is None or setting.maximum is None:
        return ""
    unit = f" {setting.unit}" if setting.unit else ""
    return f": {setting.minimum:g} to {setting.maximum:g}{unit}"
