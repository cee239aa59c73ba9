"""Where cameras come from: a search, addresses good and bad, a fleet file; and cameras that die meanwhile."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

import espressoscope as es
from espressoscope import sim

pytest.importorskip("napari")

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit

from espressoscope.napari_plugin.finder import Finder
from espressoscope.napari_plugin.session import LiveSession
from espressoscope.napari_plugin.work import MOST_THREADS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000


@pytest.fixture
def deaf() -> Iterator[str]:
    """An address where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def baker() -> Iterator[str]:
    """An address of a web server that is no camera."""
    server = socket.create_server(("127.0.0.1", 0))
    body = b"<h1>Fresh bread</h1>"
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def serve() -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                guest, _ = server.accept()
                with guest, contextlib.suppress(OSError):
                    guest.settimeout(2)
                    guest.recv(4096)
                    guest.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.getsockname()[1]}"
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def click(qtbot: Any, button: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def choose(qtbot: Any, button: Any, path: Path) -> None:
    """Choose a file in the dialog this button opens."""
    click(qtbot, button)
    dialog = button.dialog
    qtbot.waitUntil(dialog.isVisible, timeout=PATIENCE_MS)
    click(qtbot, button)
    assert button.dialog is dialog, "one is enough"
    name = dialog.findChild(QLineEdit, "fileNameEdit")
    name.setText(str(path))
    qtbot.keyClick(name, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: button.dialog is None, timeout=PATIENCE_MS)


def test_a_cancelled_search_ends_although_no_thread_is_free_for_it(
    qapp: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.62.0/24")
    session = LiveSession()
    gate = threading.Event()
    asked: list[object] = []
    session.search_progress.connect(asked.append)
    try:
        session.find(None)
        qtbot.waitUntil(lambda: bool(asked), timeout=PATIENCE_MS)
        search = session._hunt._search
        assert search is not None
        for _ in range(MOST_THREADS):
            session.run(lambda: gate.wait(30), quiet=True)
        qtbot.waitUntil(lambda: session._calls._workers._working == MOST_THREADS, timeout=PATIENCE_MS)
        session.cancel_search()
        session.close()
        qtbot.waitUntil(lambda: search._cancelled, timeout=PATIENCE_MS)
    finally:
        gate.set()
        session.close()
        assert session.wait_closed()


def test_find_shows_cameras_as_they_are_found(
    widget: LiveWidget, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder, session = widget.finder, widget.session
    # Addresses of this computer that no other test looks at.
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.61.0/29")
    with (
        sim.SimulatedCamera(host="127.0.61.1", port=8080, framesize="QVGA", fps=5, seed=1) as one,
        sim.SimulatedCamera(host="127.0.61.2", port=8082, framesize="QVGA", fps=5, seed=2) as two,
    ):
        asked: list[int] = []
        session.search_progress.connect(lambda progress: asked.append(finder.progress.value()))
        click(qtbot, finder.find)
        assert finder.find.text() == "Stop searching"
        assert finder.progress.isVisible()
        qtbot.waitUntil(lambda: finder.results.count() == 2, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: not session.searching, timeout=PATIENCE_MS)
        assert any(asked)
        assert finder.find.text() == "Find cameras"
        assert not finder.progress.isVisible()
        assert finder.words.text() == "2 cameras found"
        listed = " ".join(finder.results.item(row).text() for row in range(2))
        assert "127.0.61.1:8080" in listed
        assert "127.0.61.2:8082" in listed

        click(qtbot, finder.show_found)
        qtbot.waitUntil(lambda: len(widget.screen.layers) == 2, timeout=PATIENCE_MS)
        assert session.fleet is not None
        assert {session.fleet[name].info.url for name in session.names} == {one.url, two.url}
        assert widget.words.text() == "", "they are not being reached any more"

        # Again: those that are here already are marked, and left alone.
        said: list[str] = []
        session.failed.connect(said.append)
        click(qtbot, finder.find)
        qtbot.waitUntil(lambda: not session.searching, timeout=PATIENCE_MS)
        listed = " ".join(finder.results.item(row).text() for row in range(2))
        assert all(f"(here as {name})" in listed for name in session.names)
        click(qtbot, finder.show_found)
        assert (finder.results.count(), said) == (0, [])

    # Cancelled in the middle of a long one: it ends at once, and the next may begin.
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.9.0.0/21")
    asked.clear()
    click(qtbot, finder.find)
    qtbot.waitUntil(lambda: any(asked), timeout=PATIENCE_MS)
    click(qtbot, finder.find)
    assert not session.searching
    assert finder.find.text() == "Find cameras"

    # None: what the doctor knows about that.
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.0.62.1/32")
    click(qtbot, finder.find)
    qtbot.waitUntil(lambda: not session.searching, timeout=PATIENCE_MS)
    first, doctors, *tips = finder.words.text().splitlines()
    assert first == "No camera was found."
    assert "127.0.62.1/32 only" in doctors  # the variable of this test narrows the search
    assert "powered" in " ".join(tips)
    assert not finder.results.isVisible()


def test_what_is_taken_in_while_searching_leaves_the_list(
    qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = LiveSession()
    finder = Finder(session)
    qtbot.addWidget(finder)
    finder.show()
    wrong: list[str] = []
    session.failed.connect(wrong.append)
    monkeypatch.setenv("ESPRESSOSCOPE_NETWORKS", "127.9.0.0/21")  # a long search, of nobody
    with sim.simulate(3, port=0, framesize="QVGA", fps=5, prerender=True) as cameras:
        infos = []
        for camera in cameras:
            with es.Camera(camera.url) as device:
                infos.append(device.info)
        click(qtbot, finder.find)
        for number, info in enumerate(infos[:2], 1):
            session.found.emit(info)
            assert finder.results.count() == 1  # the one taken in before is not listed again
            assert finder.words.text() == "1 camera found"
            click(qtbot, finder.show_found)
            assert not finder.results.isVisible()
            qtbot.waitUntil(lambda number=number: len(session.names) == number, timeout=PATIENCE_MS)
        session.found.emit(infos[2])
        finder.results.itemDoubleClicked.emit(finder.results.item(0))
        qtbot.waitUntil(lambda: len(session.names) == 3, timeout=PATIENCE_MS)
        session.search_ended.emit([])
        assert finder.find.text() == "Find cameras"
        assert not finder.words.isVisible()  # not: no camera was found
        assert not finder.results.isVisible()
        session.close()
        assert session.wait_closed(10)
    assert not wrong


def test_wrong_addresses_are_told_and_hold_up_nobody(
    widget: LiveWidget, qtbot: Any, deaf: str, baker: str
) -> None:
    table, session = widget.table.cameras, widget.session

    def add(text: str) -> None:
        qtbot.keyClicks(widget.finder.address, text)
        qtbot.keyClick(widget.finder.address, Qt.Key.Key_Return)

    with socket.create_server(("127.0.0.1", 0)) as server:
        refused = f"127.0.0.1:{server.getsockname()[1]}"
    with sim.SimulatedCamera(framesize="QVGA", fps=6) as camera:
        add(f"http://[ ftp://x {camera.url} {refused} {deaf} {baker} nosuch.invalid")
        qtbot.waitUntil(lambda: len(session.names) == 5, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: "http://[" in widget.words.text(), timeout=PATIENCE_MS)
        assert "ftp://x" in widget.words.text()
        good = session.names[0]
        qtbot.waitUntil(lambda: table.text(good, 1) == "live", timeout=PATIENCE_MS)
        for name, word in zip(
            session.names[1:], ("nothing listens", "/status", "", "nosuch.invalid"), strict=True
        ):
            qtbot.waitUntil(
                lambda name=name, word=word: table.text(name, 7) and word in table.text(name, 7),
                timeout=PATIENCE_MS,
            )
        # The same once more.
        add(camera.url)
        qtbot.waitUntil(lambda: "already" in widget.words.text(), timeout=PATIENCE_MS)
        assert len(session.names) == 5
        # Live goes off and on, and cameras go, whatever the dead ones do.
        click(qtbot, widget.live)
        fleet = session.fleet
        assert fleet is not None
        qtbot.waitUntil(
            lambda: {stats.state for stats in fleet.stats().values()} == {"stopped"}, timeout=PATIENCE_MS
        )
        click(qtbot, widget.live)
        qtbot.waitUntil(lambda: table.text(good, 1) == "live", timeout=PATIENCE_MS)
        widget.table.selectAll()
        click(qtbot, widget.remove)
        qtbot.waitUntil(lambda: not session.names, timeout=PATIENCE_MS)
        qtbot.waitUntil(lambda: not widget.screen.layers, timeout=PATIENCE_MS)


def test_a_fleet_file_gives_each_camera_its_well(widget: LiveWidget, qtbot: Any, tmp_path: Path) -> None:
    wells = {"A1": (0, 0), "A6": (0, 5), "B2": (1, 1), "C3": (2, 2), "D1": (3, 0)}
    path = tmp_path / "lab.toml"
    with sim.simulate(5, port=0, framesize="QVGA", fps=5, prerender=True) as cameras:
        file = es.FleetFile.load(path)
        for well, camera in zip(wells, cameras, strict=True):
            with es.Camera(camera.url) as device:
                file.add(device.info, name=f"well {well}")
            file.assign(f"well {well}", well=well, plate="p", wells=24)
        file.save()
        choose(qtbot, widget.finder.fleet_file, path)
        qtbot.waitUntil(lambda: "mosaic" in widget.screen.layers, timeout=PATIENCE_MS)
        board = widget.screen.layers["mosaic"].board
        assert {name: board.place(name) for name in board.names} == {
            f"well {well}": place for well, place in wells.items()
        }
        assert (board.cells, board.columns) == (24, 6)
        high, wide = board.tile
        free = board.shown[high : 2 * high, :wide]  # B1
        assert 0 < free[high // 2, wide // 2].max() < 40
        assert free[0].max() == free[:, 0].max() == 0

        # One is switched off while live: its tile says so, the others go on.
        cameras[0].stop()
        qtbot.waitUntil(
            lambda: str(widget.screen.layers["mosaic"].board.states["well A1"]) == "no signal",
            timeout=PATIENCE_MS,
        )
        qtbot.waitUntil(lambda: bool(widget.table.cameras.text("well A1", 7)), timeout=PATIENCE_MS)
        assert str(widget.screen.layers["mosaic"].board.states["well A6"]) == "live"
        qtbot.waitUntil(lambda: widget.trouble.text().startswith("well A1: "), timeout=PATIENCE_MS)
        assert widget.trouble.isVisible()
        cameras[1].stop()
        qtbot.waitUntil(lambda: " 1 more" in widget.trouble.text(), timeout=PATIENCE_MS)
        table = widget.table.cameras
        row = table.row("well A6")
        colours = [table.data(table.index(r, 1), Qt.ItemDataRole.ForegroundRole) for r in range(5)]
        assert [colour is not None for colour in colours] == [True, True, False, False, False]
        widget.table.selectRow(row)
        assert widget.trouble.text().startswith("well A6: ")
        widget.session.remove(["well A1", "well A6"])
        qtbot.waitUntil(lambda: not widget.trouble.isVisible(), timeout=PATIENCE_MS)
    path.write_text("[cameras.A1]\nnothing = 1\n", encoding="utf-8")
    choose(qtbot, widget.finder.fleet_file, path)
    qtbot.waitUntil(lambda: path.name in widget.words.text(), timeout=PATIENCE_MS)
    widget.session.add_fleet_file(str(tmp_path / "none.toml"))
    qtbot.waitUntil(lambda: "none.toml" in widget.words.text(), timeout=PATIENCE_MS)
