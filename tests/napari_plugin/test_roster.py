"""Who belongs to a session: nobody waits for a silent camera, and each stands in its own well."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from espressoscope import sim
from espressoscope.napari_plugin.pictures import Pictures
from espressoscope.napari_plugin.roster import Roster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Joined:
    """A roster, and who has come to it."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._changed = threading.Condition()
        self.roster = Roster(Pictures(), self._came, lambda _: None)

    def _came(self, name: str) -> None:
        with self._changed:
            self.names.append(name)
            self._changed.notify_all()

    def wait(self, count: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, 30)


@pytest.fixture
def joined() -> Iterator[Joined]:
    joined = Joined()
    yield joined
    joined.roster.close()


@pytest.fixture
def silent() -> Iterator[str]:
    """Somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def fleet_file(path: Path, cameras: dict[str, str], plate: str) -> str:
    lines = [
        f'[cameras.{name}]\nurl = "{url}"\nplate = "{plate}"\nwell = "{name}"'
        for name, url in cameras.items()
    ]
    path.write_text("\n".join([*lines, f"[plates.{plate}]\nwells = 24\n"]))
    return str(path)


def test_a_silent_camera_in_a_fleet_file_holds_up_no_other(
    joined: Joined, silent: str, tmp_path: Path
) -> None:
    with sim.simulate(3, port=0, framesize="QVGA", fps=5) as cameras:
        urls = dict(zip(("A1", "A2", "A3", "A4"), (silent, *(camera.url for camera in cameras)), strict=True))
        path = fleet_file(tmp_path / "lab.toml", urls, "leaf")
        thread = threading.Thread(target=joined.roster.add_fleet_file, args=(path,))
        thread.start()
        joined.wait(3)
        before = list(joined.names)
        thread.join(30)
        assert not thread.is_alive()
        assert before == ["A2", "A3", "A4"]  # in the order of the file, and not after the silent one
    assert joined.names[3] == "A1"  # it may answer later
    assert joined.roster.places == {name: (0, column) for column, name in enumerate(("A1", "A2", "A3", "A4"))}


def test_cameras_without_a_name_get_it_whoever_is_quickest(joined: Joined) -> None:
    with sim.simulate(5, port=0, framesize="QVGA", fps=5) as cameras:
        joined.roster.add([camera.url for camera in cameras])
        fleet = joined.roster.fleet
        assert fleet is not None
        assert [fleet[name].info.url for name in joined.names] == [camera.url for camera in cameras]


def test_an_address_given_twice_is_one_camera(joined: Joined) -> None:
    with sim.SimulatedCamera(framesize="QVGA", fps=5) as camera:
        with pytest.raises(ValueError, match="given twice"):
            joined.roster.add([camera.url, camera.url])
        assert len(joined.names) == 1
        with pytest.raises(ValueError, match="is shown already"):
            joined.roster.add([camera.url])
        assert len(joined.names) == 1


def test_cameras_of_two_files_with_equal_names_stand_in_their_own_wells(
    joined: Joined, tmp_path: Path
) -> None:
    with sim.simulate(4, port=0, framesize="QVGA", fps=5) as cameras:
        urls = [camera.url for camera in cameras]
        first = fleet_file(tmp_path / "first.toml", {"A1": urls[0], "A2": urls[1]}, "leaf")
        second = fleet_file(tmp_path / "second.toml", {"A1": urls[2], "A2": urls[3]}, "root")
        joined.roster.add_fleet_file(first)
        joined.roster.add_fleet_file(second)
        fleet, places = joined.roster.fleet, joined.roster.places
        assert fleet is not None
        by_url = {fleet[name].info.url: place for name, place in places.items()}
        assert [by_url[url] for url in urls] == [(0, 0), (0, 1), (5, 0), (5, 1)]
        plates = joined.roster.plates
        assert [(plate.top, plate.rows, plate.columns) for plate in plates] == [(0, 4, 6), (5, 4, 6)]
        # The same file again moves nobody.
        joined.roster.add_fleet_file(first)
        assert joined.roster.places == places
        assert set(joined.roster.plates) == set(plates)
        assert joined.roster.fleet is fleet
        # Who stands in no well any more there, stands in none here.
        text = (tmp_path / "first.toml").read_text().replace('plate = "leaf"\nwell = "A2"', "")
        (tmp_path / "first.toml").write_text(text)
        joined.roster.add_fleet_file(first)
        assert sorted(place for name, place in joined.roster.places.items()) == [(0, 0), (5, 0), (5, 1)]


def test_a_file_that_was_changed_is_followed(joined: Joined, tmp_path: Path) -> None:
    """Also where its cameras were found first, and have other names here."""
    with sim.simulate(3, port=0, framesize="QVGA", fps=5) as cameras:
        urls = [camera.url for camera in cameras]
        joined.roster.add(urls)
        fleet = joined.roster.fleet
        assert fleet is not None
        names = {fleet[name].info.url: name for name in fleet.names}
        first, second, third = (names[url] for url in urls)
        for _ in range(2):
            path = fleet_file(tmp_path / "lab.toml", {"A1": urls[0], "B2": urls[1]}, "leaf")
            joined.roster.add_fleet_file(path)
            assert joined.roster.places == {first: (0, 0), second: (1, 1)}
        # Another one in the first one's well, who is not in the file any more: the others stay.
        fleet_file(tmp_path / "lab.toml", {"A1": urls[2], "B2": urls[1]}, "leaf")
        joined.roster.add_fleet_file(path)
        assert joined.roster.places == {third: (0, 0), second: (1, 1)}
        assert [plate.top for plate in joined.roster.plates] == [0]
