"""What several panels have: a line of words, whose cameras it is about, a folder to choose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtGui import QTextDocument
from qtpy.QtWidgets import QLineEdit, QTreeWidget, QVBoxLayout, QWidget

from espressoscope import sim
from espressoscope.napari_plugin.controls import BAD, Browse, Whose, Words, tip
from espressoscope.napari_plugin.report import Report
from espressoscope.napari_plugin.run_names import default_folder, folder_of
from espressoscope.napari_plugin.session import LiveSession

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000


@pytest.fixture
def session(qapp: Any) -> Iterator[LiveSession]:
    made = LiveSession()
    yield made
    made.close()
    assert made.wait_closed(10)


def test_words_can_be_copied_and_lose_their_colour_again(qtbot: Any) -> None:
    words = Words(quiet=True)
    qtbot.addWidget(words)
    words.say("refused", bad=True)
    assert BAD in words.styleSheet()
    assert words.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse
    words.setSelection(0, 3)
    words.say("refused", bad=True)
    assert words.selectedText() == "ref", "the same words again take nothing away from who copies them"
    words.say("taken")
    assert (words.text(), BAD in words.styleSheet()) == ("taken", False)


def test_names_are_never_taken_for_html(qtbot: Any, tmp_path: Path) -> None:
    name = f"<img src={tmp_path / 'p.png'}><h1>x</h1>"
    words = Words(name)
    qtbot.addWidget(words)
    assert words.textFormat() == Qt.TextFormat.PlainText
    assert words.text() == name
    document = QTextDocument()
    document.setHtml(tip(name))
    assert document.toPlainText() == name
    assert tip("as it is") == "as it is"


def test_a_long_word_does_not_make_a_dock_wider(qtbot: Any) -> None:
    inner = QWidget()
    qtbot.addWidget(inner)
    words = Words("x" * 400)
    QVBoxLayout(inner).addWidget(words)
    assert inner.minimumSizeHint().width() < 100
    words.say("word " * 80)
    assert words.heightForWidth(200) > 2 * words.fontMetrics().height(), "it takes as many lines as it needs"


def test_a_report_is_as_high_as_its_words_and_no_name_pushes_them_out(qtbot: Any) -> None:
    report = Report()
    qtbot.addWidget(report)
    report.resize(400, 200)
    report.show()
    tree, long = report.findChild(QTreeWidget), "why it was not done " * 12
    report.begin("Restart:")
    report.put("x" * 100, "restarting ...")

    def height() -> int:
        return int(tree.visualItemRect(tree.topLevelItem(0)).height())

    line = tree.fontMetrics().height()
    qtbot.waitUntil(lambda: 0 < height() < 2 * line, timeout=PATIENCE_MS)
    report.put("x" * 100, long, bad=True)
    qtbot.waitUntil(lambda: height() > 4 * line, timeout=PATIENCE_MS)
    assert tree.columnWidth(0) < 200
    before = height()
    report.resize(900, 200)
    qtbot.waitUntil(lambda: height() < before, timeout=PATIENCE_MS)
    assert report.lines == {"x" * 100: long}


def test_a_folder_is_where_its_text_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert folder_of(" ") == default_folder() == tmp_path / "Espressoscope"
    assert folder_of("stills") == default_folder() / "stills"
    assert folder_of(" ~/pictures ") == tmp_path / "pictures"
    assert folder_of(str(tmp_path)) == tmp_path
    for wrong in ("~nobody-here/x", "a\0b"):
        with pytest.raises(ValueError, match="no"):
            folder_of(wrong)


def test_whose_cameras_follows_the_table_and_those_that_come(session: LiveSession, qtbot: Any) -> None:
    with sim.simulate(2, port=0, framesize="QVGA", fps=2) as cameras:
        this = ""
        whose, with_this = Whose(session), Whose(session, this=lambda: this)
        for box in (whose, with_this):
            qtbot.addWidget(box)
        assert (whose.only, whose.names, with_this.names) == (None, [], [])
        assert whose.currentText() == "all cameras"
        session.add([camera.url for camera in cameras])
        qtbot.waitUntil(lambda: whose.currentText() == "all 2 cameras", timeout=PATIENCE_MS)
        first, second = session.names
        this = first
        assert (whose.names, with_this.only) == ([first, second], [first])
        whose.setCurrentIndex(1)
        with_this.setCurrentIndex(1)
        assert whose.only == with_this.only == [], "none is chosen: that is not all"
        session.select([second])
        assert whose.currentText() == "the 1 chosen in the table"
        assert whose.itemData(1, Qt.ItemDataRole.ToolTipRole) == second
        assert whose.names == with_this.names == [second]
        session.remove([second])
        qtbot.waitUntil(lambda: whose.names == [], timeout=PATIENCE_MS)
        with_this.setCurrentIndex(0)
        this = second
        assert with_this.names == [], "it is gone"


def test_a_folder_is_chosen_beside_everything_else(qtbot: Any, tmp_path: Path) -> None:
    given: list[str] = []
    wanted = tmp_path / "a folder"
    wanted.mkdir()
    browse = Browse("Where to", given.append, at=lambda: str(tmp_path), tip="Choose")
    qtbot.addWidget(browse)
    browse.show()
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Return):
        qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
        dialog = browse.dialog
        assert dialog is not None
        qtbot.waitUntil(dialog.isVisible, timeout=PATIENCE_MS)
        assert dialog.directory().absolutePath() == str(tmp_path)
        name = dialog.findChild(QLineEdit, "fileNameEdit")
        name.setText(str(wanted))
        qtbot.keyClick(name if key == Qt.Key.Key_Return else dialog, key)
        qtbot.waitUntil(lambda: browse.dialog is None, timeout=PATIENCE_MS)
    assert given == [str(wanted)], "the first one was let be"
    qtbot.mouseClick(browse, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(browse.dialog.isVisible, timeout=PATIENCE_MS)  # its end must do no harm
