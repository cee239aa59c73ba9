"""A camera whose files cannot be opened: its lamp, and what ends the attempts."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING

import pytest

import espressoscope as es
from espressoscope.api import lapse_crew
from espressoscope.sim import SimulatedCamera
from support import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def cameras() -> Iterator[list[SimulatedCamera]]:
    with (
        SimulatedCamera(name="well", fps=20, side_delays=False, number=74) as well,
        SimulatedCamera(name="odd", fps=20, side_delays=False, number=75) as odd,
    ):
        yield [well, odd]


class Worker:
    """A time-lapse on a thread of its own."""

    def __init__(self, lapse: es.TimeLapse) -> None:
        self.lapse = lapse
        self.status: es.LapseStatus | None = None
        self.error: es.CameraError | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self.status = self.lapse.run()
        except es.CameraError as error:
            self.error = error


@contextlib.contextmanager
def running(lapse: es.TimeLapse) -> Iterator[Worker]:
    """Run it until the end of the block at the latest."""
    worker = Worker(lapse)
    worker.thread.start()
    try:
        yield worker
    finally:
        lapse.stop()
        worker.thread.join(30)
    assert not worker.thread.is_alive()


def told(folder: Path, name: str) -> es.CameraLapse:
    return next(each for each in es.timelapse_status(folder).cameras if each.name == name)


def begin(lapse: es.TimeLapse, folder: Path) -> None:
    """Take a point of each, and stop; then the files of one cannot be opened."""
    with running(lapse):
        wait_until((folder / "run.json").exists, 60)
        wait_until(lambda: told(folder, "well").taken and told(folder, "odd").taken, 60, what="points")
    (folder / "odd" / "points.csv").unlink()
    (folder / "odd" / "points.csv").mkdir()


def test_it_ends_with_the_schedule(
    cameras: list[SimulatedCamera], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"

    def lapse() -> es.TimeLapse:
        urls = [camera.url for camera in cameras]
        return es.TimeLapse(urls, every=1.5, count=4, path=folder, stagger=0, force=True)

    begin(lapse(), folder)
    with running(lapse()) as worker:  # the next attempt would be in ten seconds, and so after the end
        worker.thread.join(25)
        assert worker.status is not None, "it has ended by itself"
        assert list(worker.lapse.unopened) == ["odd"]
        assert "odd: its files could not be opened" in caplog.text
    assert worker.status.state == "stopped"
    well, odd = worker.status.cameras
    assert (well.next_point, well.taken + well.missed) == (None, 4)
    assert (odd.next_point, "cannot be read" in odd.reason) == (None, True)


@pytest.mark.skipif(sys.platform == "win32", reason="nobody deletes a folder with open files there")
def test_its_lamp_is_switched_off_and_a_deleted_folder_ends_it(
    cameras: list[SimulatedCamera], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def lapse() -> es.TimeLapse:
        urls = [camera.url for camera in cameras]
        return es.TimeLapse(urls, every="1h", path=folder, stagger=0, lamp=60, settle="1ms", force=True)

    begin(lapse(), folder)
    with es.Camera(cameras[1].url) as odd:
        odd.set(lamp=60)  # as a program leaves it that is killed
        with running(lapse()) as worker:
            wait_until(lambda: odd.status()["lamp"] == 0, 30, what="its lamp to be off")
            assert worker.thread.is_alive()
            assert list(worker.lapse.unopened) == ["odd"]
    monkeypatch.setattr(lapse_crew, "AGAIN_S", 0.2)
    with running(lapse()) as worker:
        wait_until(lambda: worker.lapse.unopened, 30)
        folder.rename(tmp_path / "away")  # at once, while the other camera is written
        worker.thread.join(30)
        assert not worker.thread.is_alive()
    assert "deleted" in str(worker.error)
    assert not folder.exists()
