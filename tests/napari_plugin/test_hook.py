"""A function of the user's on live pictures: what it gives is shown; that it raises or hangs ends nothing."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import espressoscope as es
from espressoscope import sim
from support import wait_until

pytest.importorskip("napari")

from qtpy.QtCore import Qt

from espressoscope.napari_plugin import processing
from espressoscope.napari_plugin.hook_panel import HookPanel
from espressoscope.napari_plugin.hook_source import HookSourceError, Wanted, load
from espressoscope.napari_plugin.processing import (
    FunctionError,
    HookRunner,
    HungError,
    hung_functions,
    shown_as,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from espressoscope.napari_plugin.widget import LiveWidget

pytestmark = pytest.mark.filterwarnings("default")
PATIENCE_MS = 30_000

FUNCTIONS = """
import threading
import numpy as np

let_go = threading.Event()

def brightness(frame):
    return np.linspace(-2.0, 6.0, 64 * 48).reshape(48, 64)

def inverted(frame, picture):
    return 255 - picture

def wrong(frame):
    return "no picture"

def raises(frame):
    numbers = []
    return numbers[3]  # line 18

def hangs(frame, picture):
    let_go.wait(60)
    return picture

def tall(frame, picture):
    return np.vstack([picture, picture, picture])
"""


@pytest.fixture(scope="module")
def camera() -> Iterator[sim.SimulatedCamera]:
    with sim.SimulatedCamera(framesize="QVGA", fps=8, number=3) as camera:
        yield camera


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my functions.py"
    path.write_text(FUNCTIONS, encoding="utf-8")
    return path


def start(panel: HookPanel, qtbot: Any, text: str) -> None:
    panel.source.setText(text)
    qtbot.mouseClick(panel.start, Qt.MouseButton.LeftButton)


def test_what_a_function_gives_is_shown_and_what_goes_wrong_is_told(
    widget: LiveWidget, qtbot: Any, camera: sim.SimulatedCamera, file: Path
) -> None:
    (panel,) = widget.findChildren(HookPanel)
    widget.tabs.setCurrentWidget(panel)
    widget.session.add([camera.url])
    qtbot.waitUntil(lambda: len(widget.session.names) == 1, timeout=PATIENCE_MS)
    (name,) = widget.session.names
    screen = widget.screen

    def shown() -> Any:
        return np.asarray(screen.layers[name].layer.data) if name in screen.layers else np.zeros((1, 1, 3))

    def live() -> bool:
        """The picture itself is shown, and it goes on."""
        reading = sim.read_strip(shown())
        return reading is not None and reading.camera == 3 and reading.frame >= camera.sent.total - 6

    start(panel, qtbot, f"{file}:inverted")
    qtbot.waitUntil(lambda: panel.runner is not None and panel.runner.calls > 2, timeout=PATIENCE_MS)
    qtbot.waitUntil(
        lambda: (r := sim.read_strip(255 - shown())) is not None and r.camera == 3, timeout=PATIENCE_MS
    )

    # Floating point, another size, gray: scaled from black to white, in words.
    start(panel, qtbot, f"{file}:brightness")
    qtbot.waitUntil(lambda: shown().shape == (48, 64, 3), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: (shown().min(), shown().max()) == (0, 255), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "-2 is black, 6 white" in panel.words.text(), timeout=PATIENCE_MS)

    # A tall one stays in its camera's place: below it is another one's.
    start(panel, qtbot, f"{file}:tall")
    qtbot.waitUntil(lambda: shown().shape[0] > shown().shape[1], timeout=PATIENCE_MS)
    extent = screen.layers[name].layer.extent.world
    assert extent[1][-2] - extent[0][-2] <= 240

    # Errors: counted, told with the line, here and in the table; the picture itself is shown.
    start(panel, qtbot, f"{file}:raises")
    qtbot.waitUntil(lambda: "my functions.py, line 18: IndexError" in panel.words.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: "line 18: IndexError" in widget.table.cameras.text(name, 7), timeout=PATIENCE_MS)
    qtbot.waitUntil(live, timeout=PATIENCE_MS)
    assert panel.runner is not None
    assert panel.runner.errors > 1
    start(panel, qtbot, f"{file}:wrong")
    qtbot.waitUntil(lambda: "it gave str of" in panel.words.text(), timeout=PATIENCE_MS)

    # A file that cannot be loaded: told with its line, and the function at work goes on.
    at_work = panel.runner
    file.write_text(FUNCTIONS + "\nfor\n", encoding="utf-8")
    qtbot.mouseClick(panel.start, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panel.start.isEnabled(), timeout=PATIENCE_MS)
    assert panel.runner is at_work
    assert at_work is not None
    calls = at_work.calls
    qtbot.waitUntil(lambda: at_work.calls > calls + 8, timeout=PATIENCE_MS)  # told anew meanwhile, twice
    assert "SyntaxError" in panel.words.text(), "still"
    assert "goes on" in panel.words.text()
    # Loaded anew within the same second, with a file of the same length.
    file.write_text(FUNCTIONS.replace("255 - picture", "picture // 9 "), encoding="utf-8")
    start(panel, qtbot, f"{file}:inverted")
    qtbot.waitUntil(lambda: shown().shape[0] > 48 and shown().max() <= 255 // 9, timeout=PATIENCE_MS)
    qtbot.mouseClick(panel.stop, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(live, timeout=PATIENCE_MS)

    # One that hangs: said after 2 s; the live picture goes on, no second one is started, closing is quick.
    start(panel, qtbot, f"{file}:hangs")
    qtbot.waitUntil(lambda: "has not returned for 2 s" in panel.words.text(), timeout=PATIENCE_MS)
    qtbot.waitUntil(live, timeout=PATIENCE_MS)
    assert hung_functions() == 1
    qtbot.waitUntil(lambda: "has not returned" in widget.table.cameras.text(name, 7), timeout=PATIENCE_MS)
    stuck = panel.runner
    start(panel, qtbot, f"{file}:inverted")
    assert "no other one is started" in panel.words.text()
    assert panel.runner is stuck
    began = time.monotonic()
    widget.shut_down()
    assert time.monotonic() - began < 0.5
    assert widget.session.wait_closed(10)
    import sys

    sys.modules["espressoscope_hook_my functions"].let_go.set()
    wait_until(lambda: hung_functions() == 0, 10)


def test_loading_says_what_is_wrong(file: Path) -> None:
    def problem(text: str) -> str:
        with pytest.raises(HookSourceError) as caught:
            load(Wanted(text))
        return str(caught.value)

    assert "Write file.py:function" in problem("")
    assert "Write file.py:function" in problem("numpy")
    assert "There is no file" in problem(f"{file.parent / 'none.py'}:f")
    lazy = file.with_name("lazy.py")
    lazy.write_text("def __getattr__(name):\n    raise ValueError('not installed')\n", encoding="utf-8")
    assert problem(f"{lazy}:anything") == "lazy.py, line 2: ValueError: not installed"
    assert problem(f"{file}:nothing").endswith("it has brightness, inverted, wrong, raises, hangs, tall")
    assert "write " in problem(str(file))
    assert problem("no_such_module:f").startswith("ModuleNotFoundError: No module named 'no_such_module'")
    assert "numpy has no nothing" in problem("numpy:nothing")
    bad = file.with_name("bad.py")
    bad.write_text("x = 1\ny = (\n", encoding="utf-8")
    assert problem(str(bad)).startswith("bad.py, line 2: SyntaxError")
    bad.write_text("import sys\n\nsys.exit(3)\n", encoding="utf-8")
    assert problem(str(bad)) == "bad.py, line 3: SystemExit: 3"
    bad.write_text("def only(frame):\n    return frame\n", encoding="utf-8")
    assert load(Wanted(f" {bad} ")).__name__ == "only"
    assert load(Wanted("statistics:mean"))([1, 3]) == 2
    assert not (file.parent / "__pycache__").exists()
    with pytest.raises(TypeError, match="3 arguments"):
        HookRunner(lambda a, b, c: a, "x")


def test_values_of_any_kind_become_a_picture_without_flicker() -> None:
    ramp = np.arange(6.0).reshape(2, 3)
    shown, values = shown_as(ramp)
    assert (shown.min(), shown.max(), values) == (0, 255, (0.0, 5.0))
    _, slowly = shown_as(ramp / 5, before=values)
    assert slowly == pytest.approx((0.0, 4.6))  # shrinks by a tenth
    assert shown_as(ramp * 2, before=values)[1] == (0.0, 10.0)  # grows at once
    assert shown_as(ramp, fixed=(2.0, 3.0))[0].ravel().tolist() == [0, 0, 0, 255, 255, 255]
    assert shown_as(np.array([[True, False]]))[0].tolist() == [[255, 0]]
    odd = np.array([[np.nan, np.inf, -np.inf, 1.0, 2.0]])
    assert shown_as(odd)[0].tolist() == [[0, 0, 0, 0, 255]]
    assert not shown_as(np.full((2, 2), np.nan))[0].any()
    assert not shown_as(np.full((2, 2), 7))[0].any()
    assert shown_as(np.array([[-(2**62), 2**62]]))[0].tolist() == [[0, 255]]


def test_a_function_may_do_as_it_likes_with_its_picture_and_end_the_program_it_cannot() -> None:
    frame = es.Frame(b"", 0, 0, camera="A1")
    picture = np.full((4, 5, 3), 9, np.uint8)

    def scribbles(frame: es.Frame, picture: Any) -> Any:
        picture[:] = 77
        return picture

    runner = HookRunner(scribbles, __file__)
    assert (runner(frame, picture) == 77).all()
    assert (picture == 9).all()
    runner.close()
    runner.close()
    assert runner(frame, picture) is picture

    def leaves(frame: es.Frame) -> Any:
        raise SystemExit

    runner = HookRunner(leaves, __file__)
    for _ in range(3):
        with pytest.raises(FunctionError, match=r"test_hook\.py, line \d+: SystemExit"):
            runner(frame, picture)
    assert (runner.calls, runner.errors) == (3, 3)
    runner.close()
    for result in (None, np.zeros((0, 4)), np.zeros((3, 3, 4)), np.zeros((2, 2), complex)):
        runner = HookRunner(lambda frame, result=result: result, __file__)
        with pytest.raises(FunctionError, match="it gave"):
            runner(frame, picture)
        runner.close()
    runner = HookRunner(scribbles, __file__)
    runner.given_up = "given up"
    with pytest.raises(HungError):
        runner(frame, picture)


def test_what_fails_for_one_camera_is_told_until_it_goes_well_for_it() -> None:
    picture = np.zeros((4, 5, 3), np.uint8)
    fails = {"A1", "A2"}

    def picky(frame: es.Frame) -> Any:
        if frame.camera in fails:
            raise ValueError(frame.camera)
        return picture

    runner = HookRunner(picky, __file__)
    for name in ("A1", "A2", "A3"):
        frame = es.Frame(b"", 0, 0, camera=name)
        if name in fails:
            with pytest.raises(FunctionError, match=f"ValueError: {name}"):
                runner(frame, picture)
        else:
            runner(frame, picture)
    assert set(runner.failing) == fails, "another camera's picture went well since"
    fails.clear()
    runner(es.Frame(b"", 0, 0, camera="A1"), picture)
    assert set(runner.failing) == {"A2"}
    assert runner.errors == 2
    runner.close()
    with pytest.raises(TypeError, match="as many arguments as come: name one"):
        HookRunner(lambda *all_of_them: picture, __file__)


def test_a_function_stopped_in_the_middle_of_a_picture_hangs_only_when_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame, picture = es.Frame(b"", 0, 0, camera="A1"), np.zeros((4, 5, 3), np.uint8)
    begun, let_go = threading.Event(), threading.Event()

    def slow(frame: es.Frame, picture: Any) -> Any:
        begun.set()
        let_go.wait(30)
        return picture

    monkeypatch.setattr(processing, "HUNG_S", 60.0)
    before = hung_functions()
    runner = HookRunner(slow, __file__)
    waits = threading.Thread(target=runner, args=(frame, picture))
    waits.start()
    assert begun.wait(10)
    runner.close()
    waits.join(10)
    assert not waits.is_alive()  # let go at once
    assert hung_functions() == before
    monkeypatch.setattr(processing, "HUNG_S", 0.0)
    assert hung_functions() == before + 1
    let_go.set()
    wait_until(lambda: hung_functions() == before, 10)
