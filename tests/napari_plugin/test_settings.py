"""The settings panel: it shows what the cameras have, and says what was refused, without ever waiting."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from espressoscope.sim import SimulatedCamera, simulate
from support import wait_until

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QMessageBox

from espressoscope.napari_plugin.outbox import Outbox
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.settings_panel import SettingsPanel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 20_000
HERE, CHOSEN, ALL = range(3)


@pytest.fixture
def session(qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveSession]:
    monkeypatch.setenv("ESPRESSOSCOPE_FLEET", str(tmp_path / "lab.toml"))
    session = LiveSession()
    yield session
    session.close()
    assert session.wait_closed(10)


@pytest.fixture
def panel(session: LiveSession, qtbot: Any) -> SettingsPanel:
    panel = SettingsPanel(session, None)
    qtbot.addWidget(panel)
    panel.resize(420, 700)
    panel.show()
    return panel


@pytest.fixture(scope="module")
def three() -> Iterator[list[SimulatedCamera]]:
    with simulate(3, port=0, framesize="QVGA", fps=5, prerender=True) as cameras:
        yield cameras


def bring_in(session: LiveSession, qtbot: Any, cameras: list[SimulatedCamera]) -> list[str]:
    session.add([camera.url for camera in cameras])
    qtbot.waitUntil(lambda: len(session.names) == len(cameras), timeout=PATIENCE_MS)
    return session.names


def ready(panel: SettingsPanel, qtbot: Any) -> None:
    """Wait until the form has been read."""
    qtbot.waitUntil(lambda: "told at" in panel.words.text(), timeout=PATIENCE_MS)


def sent(camera: SimulatedCamera, var: str) -> list[str]:
    """Give the values a camera was told of a setting."""
    lines = [line for line in camera.requests if f"var={var}&" in line or f"?{var}=" in line]
    return [line.split("val=")[1].split()[0] for line in lines]


def test_a_dragged_slider_sends_few_values_and_the_last_one(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    bring_in(session, qtbot, three[:1])
    ready(panel, qtbot)
    field: Any = panel.form.field("quality")
    began = time.monotonic()
    for value in [*range(10, 60), 37]:
        field.slider.setValue(value)
        qtbot.wait(10)
    qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
    values = sent(three[0], "quality")
    assert values[-1] == "37"
    assert len(values) <= 3 + (time.monotonic() - began) / 0.2
    assert field.number.value() == three[0].sensor["quality"] == 37


def test_what_is_refused_is_said_and_the_camera_s_own_value_shown(
    session: LiveSession, panel: SettingsPanel, qtbot: Any
) -> None:
    with SimulatedCamera(framesize="QVGA") as camera:
        bring_in(session, qtbot, [camera])
        ready(panel, qtbot)
        field: Any = panel.form.field("brightness")
        before = field.number.value()
        with camera.fault("refuse"):
            field.number.setValue(before + 1)
            qtbot.waitUntil(lambda: bool(field.note.text()), timeout=PATIENCE_MS)
        assert not field.note.isHidden()
        assert field.number.value() == before
        assert panel.report.bad == {panel.name}
        field.number.setValue(before + 1)  # taken now, and the words go
        qtbot.waitUntil(lambda: panel.outbox.empty and not field.note.text(), timeout=PATIENCE_MS)
        assert field.number.value() == before + 1
        assert panel.report.bad == set()


def test_what_a_camera_does_not_tell_is_unknown_until_set(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    bring_in(session, qtbot, three[:1])
    ready(panel, qtbot)
    field: Any = panel.form.field("neopixel")
    assert field.number.text() == "unknown"
    field.slider.setValue(40)
    qtbot.waitUntil(lambda: "does not tell" in field.note.text(), timeout=PATIENCE_MS)
    panel.read()
    ready(panel, qtbot)
    assert field.number.value() == 40


def test_changes_go_to_all_and_each_camera_is_reported_also_a_dead_one(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    with SimulatedCamera(framesize="QVGA") as doomed:
        names = bring_in(session, qtbot, [*three, doomed])
        lost = next(name for name in names if session.camera(name).info.url == doomed.url)  # type: ignore[union-attr]
    panel.camera.setCurrentText(next(name for name in names if name != lost))
    ready(panel, qtbot)
    panel.scope.setCurrentIndex(ALL)
    field: Any = panel.form.field("hmirror")
    wanted = not field.box.isChecked()
    field.box.click()
    qtbot.waitUntil(lambda: all(camera.sensor["hmirror"] == wanted for camera in three), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: panel.report.bad == {lost}, timeout=PATIENCE_MS)
    assert set(panel.report.lines) == set(names)
    session.select([names[0]])
    assert panel.scope.itemText(CHOSEN) == "the 1 chosen in the table"


def test_a_camera_without_settings_is_said_to_have_none(
    session: LiveSession, panel: SettingsPanel, qtbot: Any
) -> None:
    with SimulatedCamera(framesize="QVGA", fps=10) as camera:
        session.add([camera.stream_url])
        qtbot.waitUntil(lambda: "bare MJPEG" in panel.words.text(), timeout=PATIENCE_MS)
        assert panel.form.isHidden()
        session.remove(session.names)
        qtbot.waitUntil(lambda: not session.names, timeout=PATIENCE_MS)
        assert "No camera" in panel.words.text()


def test_exposure_is_copied_and_what_cannot_be_is_said(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    names = bring_in(session, qtbot, three)
    ready(panel, qtbot)
    device = session.camera(panel.name)
    assert device is not None
    device.set(aec=False, aec_value=321, agc=True)
    panel.form.field("aec")  # its page
    qtbot.mouseClick(panel.lock, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: set(panel.report.lines) == set(names), timeout=PATIENCE_MS)
    assert [camera.sensor["aec_value"] for camera in three] == [321] * 3
    assert "gain not copied" in panel.report.lines[panel.name]


def test_a_profile_is_saved_compared_and_applied(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    names = bring_in(session, qtbot, three[:2])
    ready(panel, qtbot)
    panel.profiles.name.setEditText("blood")
    qtbot.mouseClick(panel.profiles.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.profiles.name.findText("blood") >= 0, timeout=PATIENCE_MS)
    for widget in (panel.profiles.name, panel.profiles.save):  # which file, of all there may be
        assert str(es.FleetFile.load().path) in widget.toolTip()
    other = next(name for name in names if name != panel.name)
    device = session.camera(other)
    assert device is not None
    device.set(contrast=2)
    panel.scope.setCurrentIndex(ALL)
    for button, word, bad in (
        (panel.profiles.compare, "compared", {other}),
        (panel.profiles.apply, "applied", set()),
    ):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
        wanted = f"Profile blood {word}"
        qtbot.waitUntil(
            lambda title=wanted: panel.report.title.startswith(title) and len(panel.report.lines) == 2,
            timeout=PATIENCE_MS,
        )
        assert panel.report.bad == bad
    assert device.status()["contrast"] == es.FleetFile.load().profile("blood")["contrast"] != 2


def test_a_restart_asks_first(session: LiveSession, panel: SettingsPanel, qtbot: Any) -> None:
    with SimulatedCamera(framesize="QVGA", boot_s=0.3) as camera:
        bring_in(session, qtbot, [camera])
        ready(panel, qtbot)
        panel.focus.speed.setValue(100)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        for answer, reboots in (("Cancel", 0), ("Yes", 1)):
            assert panel.focus.speed_words.text() == "Speed: 100"
            panel.reboot.click()
            assert panel.question is not None
            assert camera.reboots == 0
            panel.question.button(getattr(QMessageBox.StandardButton, answer)).click()
            assert panel.question is None
            if reboots:
                qtbot.waitUntil(
                    lambda: panel.report.lines.get(panel.name) == "back again", timeout=PATIENCE_MS
                )
        assert camera.reboots == 1
        assert panel.focus.speed_words.text() == "Speed: unknown"  # it is at rest, or was never reached


def test_focus_is_stepped_driven_and_searched(session: LiveSession, panel: SettingsPanel, qtbot: Any) -> None:
    with SimulatedCamera(framesize="QVGA") as camera:
        bring_in(session, qtbot, [camera])
        ready(panel, qtbot)
        focus = panel.focus
        panel.form.setCurrentIndex(3)
        qtbot.mouseClick(focus.up, Qt.MouseButton.LeftButton)
        wait_until(lambda: any("mFocusUp" in line for line in camera.requests), 10)
        focus.speed.setValue(120)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        qtbot.mouseClick(focus.stop, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        assert sent(camera, "focusSlider")[-1] == "0"
        assert focus.speed_words.text() == "Speed: 0"
        # Stop does not reach it: it may run on, and the panel does not say otherwise.
        focus.speed.setValue(300)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        with camera.fault("refuse"):
            qtbot.mouseClick(focus.stop, Qt.MouseButton.LeftButton)
            qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        assert focus.speed_words.text() == "Speed: unknown"
        assert panel.report.bad == {panel.name}
        qtbot.mouseClick(focus.stop, Qt.MouseButton.LeftButton)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        assert focus.speed_words.text() == "Speed: 0"
        focus.first.setValue(-10)
        focus.last.setValue(10)
        qtbot.mouseClick(focus.autofocus, Qt.MouseButton.LeftButton)
        assert not focus.progress.isHidden()
        assert not focus.autofocus.isEnabled()
        qtbot.waitUntil(lambda: "finished" in focus.words.text(), timeout=PATIENCE_MS)
        assert focus.progress.isHidden()


def test_a_camera_that_dies_holds_nothing_up(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    with SimulatedCamera(framesize="QVGA") as doomed:
        names = bring_in(session, qtbot, [doomed, *three])
        ready(panel, qtbot)
        lost = next(name for name in names if session.camera(name).info.url == doomed.url)  # type: ignore[union-attr]
        panel.camera.setCurrentText(lost)
        ready(panel, qtbot)
        with doomed.fault("vanish"):
            field: Any = panel.form.field("quality")
            field.slider.setValue(field.slider.value() + 5)
            outbox = Outbox(session)
            alive = next(name for name in names if name != lost)
            outbox.put(alive, "contrast", 1)
            qtbot.waitUntil(lambda: outbox.empty, timeout=PATIENCE_MS)
            assert panel.outbox.is_pending(lost, "quality")  # the dead one still waits
    began = time.monotonic()
    session.close()
    assert time.monotonic() - began < 0.5


def test_no_limit_of_the_frame_rate_is_shown_and_can_be_had_again(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    bring_in(session, qtbot, three[:1])
    ready(panel, qtbot)
    field: Any = panel.form.field("fps_limit")
    assert field.number.value() == 0  # below the least limit there is
    for value in (2.0, 0.0):
        field.number.setValue(value)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        assert field.number.value() == value
        assert panel.report.bad == set()
    field.number.setValue(0.2)  # there is no such limit: said, and what it has is shown
    qtbot.waitUntil(lambda: bool(field.note.text()), timeout=PATIENCE_MS)
    assert field.number.value() == 0


def test_a_camera_is_read_while_another_one_takes_its_time(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    names = bring_in(session, qtbot, three[:2])
    ready(panel, qtbot)
    slow = panel.name
    quick = next(name for name in names if name != slow)
    let_go = threading.Event()
    session.run(lambda: let_go.wait(30), camera=slow)  # as an autofocus does
    panel.read()
    panel.camera.setCurrentText(quick)
    assert quick in panel.words.text()
    assert slow not in panel.words.text()  # its words do not stand above another one's values
    qtbot.waitUntil(lambda: panel.words.text().startswith(f"As {quick} told"), timeout=PATIENCE_MS)
    panel.camera.setCurrentText(slow)
    assert "told at" not in panel.words.text()
    let_go.set()
    qtbot.waitUntil(lambda: panel.words.text().startswith(f"As {slow} told"), timeout=PATIENCE_MS)


def test_a_number_that_is_being_typed_stays_until_it_is_entered(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    bring_in(session, qtbot, three[:1])
    ready(panel, qtbot)
    device = session.camera(panel.name)
    assert device is not None
    for name, typed in (("quality", "27"), ("fps_limit", "2")):
        field: Any = panel.form.field(name)
        panel.form.setCurrentIndex(panel.form.indexOf(panel.form._pages[field.setting.group]))
        panel.activateWindow()
        field.number.setFocus()
        qtbot.waitUntil(field.number.hasFocus, timeout=PATIENCE_MS)
        field.number.selectAll()
        qtbot.keyClicks(field.number, typed)
        device.set(contrast=-1 if name == "quality" else 1)  # another setting: the form is shown anew
        panel._revert()
        assert field.number.text().startswith(typed)
        qtbot.keyClick(field.number, Qt.Key.Key_Return)
        qtbot.waitUntil(lambda: panel.outbox.empty, timeout=PATIENCE_MS)
        assert device.settings[name].value == field.number.value() == float(typed)
        # Entered once more as it is, it is not being typed: what the camera has is shown again.
        field.number.selectAll()
        qtbot.keyClicks(field.number, typed)
        qtbot.keyClick(field.number, Qt.Key.Key_Return)
        assert not field.busy
    field.number.lineEdit().selectAll()  # its unit too
    qtbot.keyClicks(field.number, "4")
    assert field.busy
    panel._chosen(panel.name)  # as where another camera is chosen: what is typed was not for it
    assert field.number.value() == 2
    assert field.number.text() == "2.00 fps"


def test_a_camera_that_dies_while_its_form_is_made_is_said_to_and_takes_its_leave(
    session: LiveSession, panel: SettingsPanel, qtbot: Any, three: list[SimulatedCamera]
) -> None:
    second = SettingsPanel(session, None)  # two look at the same cameras
    qtbot.addWidget(second)
    second.show()
    with SimulatedCamera(framesize="QVGA") as doomed:
        names = bring_in(session, qtbot, [three[0], doomed])
        lost = next(name for name in names if session.camera(name).info.url == doomed.url)  # type: ignore[union-attr]
        panel.camera.setCurrentText(lost)
        ready(panel, qtbot)
    panel.camera.setCurrentText(next(name for name in names if name != lost))
    panel.camera.setCurrentText(lost)  # its form is made while it is gone
    for page in range(panel.form.count()):
        panel.form.setCurrentIndex(page)
    qtbot.waitUntil(lambda: "The values below are older" in panel.words.text(), timeout=PATIENCE_MS)
    assert "nothing listens" in panel.words.text()
    field: Any = panel.form.field("contrast")
    before = field.number.value()
    field.number.setValue(before + 1)
    qtbot.waitUntil(lambda: panel.outbox.empty and bool(field.note.text()), timeout=PATIENCE_MS)
    assert field.number.value() == before  # nobody has taken it
    assert panel.report.bad == {lost}

    # A value one panel sets, the other shows too.
    for each in (panel, second):
        each.camera.setCurrentText(next(name for name in names if name != lost))
    ready(panel, qtbot)
    ready(second, qtbot)
    there: Any = second.form.field("brightness")
    wanted = -there.number.value() or 1
    here: Any = panel.form.field("brightness")
    here.number.setValue(wanted)
    qtbot.waitUntil(lambda: panel.outbox.empty and there.number.value() == wanted, timeout=PATIENCE_MS)

    session.remove([lost])
    qtbot.waitUntil(
        lambda: panel.camera.findText(lost) < 0 and second.camera.findText(lost) < 0, timeout=PATIENCE_MS
    )
    session.remove(session.names)
    qtbot.waitUntil(lambda: "No camera" in panel.words.text(), timeout=PATIENCE_MS)
    assert panel.form.isHidden()
