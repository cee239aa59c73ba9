"""The benchmarks work and count right; how fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tomllib
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
import simplejpeg

from benchmarks import pictures, reading, tables, targets
from benchmarks.counting import Ends, Tally
from benchmarks.harness import Bench, Figures
from benchmarks.harness import run as run_job
from benchmarks.job import Job
from benchmarks.load import SPREAD_NS, plan
from benchmarks.receivers.peers import tutorial_frames
from benchmarks.report import REMARKS
from benchmarks.scenarios.scale import SAME, of_fitted
from support import REPO

if TYPE_CHECKING:
    from pathlib import Path

# Only these are not among the packages the tests need.
MAY_BE_MISSING = {"aiohttp", "PyAV"}
OURS = "Fleet to latest slots"


# --- every scenario, as it is run


def run(scenario: str, folder: Path, *more: str) -> dict[str, Any]:
    """Run one in no time; give what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", scenario, "--tiny", "--results", folder / "results.json", *more],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=REPO,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Targets" in done.stdout
    written: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return written["runs"][scenario]


@pytest.mark.parametrize("scenario", ["ingest", "endtoend", "many", "scale"])
def test_every_row_receives_and_none_invents_frames(scenario: str, tmp_path: Path) -> None:
    for name, found in run(scenario, tmp_path).items():
        for row, results in found["rows"].items():
            if "missing" in results[0]:
                assert row in MAY_BE_MISSING or sys.platform != "linux", results
                continue
            for result in results:
                assert result["frames"] > 0, (name, row)
                assert result.get("unknown", 0) == 0, (name, row)
                assert result["us_per_frame"] > 0
        if scenario == "many":
            for result in found["rows"][OURS]:
                # What is sent arrives; a machine that hesitates makes the generator leave frames out.
                left_out = sum(entry["left_out"] for entry in found["load"] if entry["row"] == OURS)
                assert result["lost"] <= left_out
                # They are counted; on a machine that hesitates several frames come with one.
                assert sys.platform == "win32" or 0 < result["wakeups"] / result["frames"] < 5


def test_a_slow_consumer_sees_the_present_from_us_and_the_past_from_peers(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    rows = run("age", tmp_path, "--page", "--to", str(page))["slow consumer"]["rows"]
    assert "| Camera.latest |" in page.read_text(encoding="utf-8")
    assert "{{" not in page.read_text(encoding="utf-8")
    assert min(age - took for _, age, took in rows["Camera.latest"][0]["ages"]) >= 0
    assert rows["Camera.latest"][0]["ages"][-1][1] < rows["tutorial's loop + cv2"][0]["ages"][-1][1]


def test_decoding_is_compared(tmp_path: Path) -> None:
    views = run("decoding", tmp_path)["QVGA"]["views"]
    assert {"ours into a buffer", "simplejpeg into a buffer", "OpenCV"} <= set(views["1/4"])


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_watched() -> None:
    command = [
        sys.executable,
        "-m",
        "benchmarks.memory",
        "--cameras",
        "3",
        "--seconds",
        "1",
        "--every",
        "0.5",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=REPO, check=False)
    assert done.returncode == 0, done.stderr
    assert "resident memory" in done.stdout


def test_a_row_that_fails_does_not_end_the_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with bench.load(bench.pictures("QVGA", 16), "--arrival", "saturated", core=None) as load:
        jobs = [(row, load.job(row, 0.1, warm_s=0.1)) for row in ("no such row", "bare recv_into")]
        found = bench.rounds(Figures({}), load, jobs, 2, "rows")
    assert found.rows["no such row"] == [{"missing": "failed: KeyError: 'no such row'"}]
    assert [result["round"] for result in found.rows["bare recv_into"]] == [0, 1]


# --- the load generator and the counting


def test_numbers_can_be_read_from_arrays_and_from_bytes(tmp_path: Path) -> None:
    path = tmp_path / "some.pictures"
    pictures.make("QVGA", 300).save(path)
    made = pictures.PictureSet.load(path)
    width, height, _ = made.size
    for scale in (1, 2, 4):
        read = made.strip_reader(scale)
        decoded = (
            simplejpeg.decode_jpeg(jpeg, "RGB", min_height=height // scale, min_width=width // scale)
            for jpeg in made.jpegs
        )
        assert [read(image) for image in decoded] == list(range(300))
    assert [made.by_tail[pictures.tail(jpeg)] for jpeg in made.jpegs] == list(range(300))


def test_what_a_slow_viewer_misses_is_counted_as_the_generator_counts_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = bench.pictures("QVGA", 300)
    by_tail = pictures.PictureSet.load(path).by_tail
    tally = Tally(len(by_tail))
    # Small buffers, so that a viewer who pauses soon holds the camera back.
    with bench.load(path, "--fps", 200, "--buffer", 4096, core=None) as load:
        frames = tutorial_frames(f"http://127.0.0.1:{load.ready['ports'][0][1]}/")
        for jpeg in islice(frames, 20):
            tally.add(by_tail.get(pictures.tail(jpeg)))
        assert (tally.lost, tally.unknown) == (0, 0)
        left_out = 0
        deadline = time.monotonic() + 20
        while not left_out and time.monotonic() < deadline:
            left_out += load.report()["left_out"]
        for jpeg in frames:
            tally.add(by_tail.get(pictures.tail(jpeg)))
            if tally.lost:
                break
        left_out += load.report()["left_out"]
        frames.close()
    assert tally.unknown == 0
    assert 0 < tally.lost <= left_out


def test_a_period_holds_every_segment_once() -> None:
    period = 40_000_000
    phases = [0, 10_000_000, 39_900_000]
    ticks = plan(phases, period, 14)
    sends = [send for tick in ticks for send in tick.segments]
    assert sorted(sends) == [(camera, segment) for camera in range(3) for segment in range(14)]
    assert all(0 <= tick.offset_ns < period for tick in ticks)
    at = {send: tick.offset_ns for tick in ticks for send in tick.segments}
    assert at[1, 13] - at[1, 0] == pytest.approx(SPREAD_NS, abs=300_000)
    assert at[2, 13] < at[2, 0]  # what goes over the end comes at the beginning of the next period


def test_lost_frames_show_between_the_ends() -> None:
    jpegs = [bytes([number]) * 200 for number in range(10)]
    by_tail = {pictures.tail(jpeg): number for number, jpeg in enumerate(jpegs)}
    seen = [(5, jpegs[8])]
    ends = Ends(by_tail, lambda: seen, [0])
    assert ends.counts()["lost"] == 0
    seen = [(9, jpegs[5])]  # four more, while seven were sent
    assert ends.counts() == {"frames": 9, "lost": 3, "unknown": 0, "wakeups": 0}


# --- ratios and tables


def scenario(**rows: list[float]) -> reading.Scenario:
    about = {"frame_bytes": 1000, "fps": 25}
    results = {
        row: [{"round": number, "us_per_frame": value, "fps": 1.0} for number, value in enumerate(values)]
        for row, values in rows.items()
    }
    return {"about": about, "rows": results, "load": []}


def test_ratios_are_taken_round_by_round() -> None:
    found = reading.ratio(scenario(ours=[1.0, 10.0, 3.0], theirs=[2.0, 40.0, 3.0]), "ours", "theirs")
    assert found == reading.Spread(0.5, 0.25, 1.0)


def test_rows_are_held_against_the_floor_beside_them() -> None:
    found = scenario(ours=[11.0, 22.0, 30.0], theirs=[20.0, 30.0, 40.0])
    for floors, row in (([10.0, 20.0, 20.0], "ours"), ([10.0, 20.0, 10.0], "theirs")):
        for result, floor in zip(found["rows"][row], floors, strict=True):
            result["floor_us_per_frame"] = floor
    assert reading.over_floor(found, "ours") == pytest.approx((1.1, 1.1, 1.5))
    assert reading.ratio_over_floor(found, "ours", "theirs") == pytest.approx((0.55, 0.375, 1.1 / 1.5))


def test_the_floor_beside_a_row_is_not_the_rows_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    path = bench.pictures("QVGA", 16)
    alone, beside = (
        run_job(Job("bare decode", str(path), {}, 0.3, warm_s=0.1, options={"beside": asked}))
        for asked in (False, True)
    )
    assert "floor_us_per_frame" not in alone
    assert 0.3 < beside["us_per_frame"] / beside["floor_us_per_frame"] < 3


def test_what_this_machine_carries_is_found_by_its_scale() -> None:
    about = {"fitted": SAME, "scale": 4}
    runs = {"200 at 1/4": {"about": {"fitted": "", "scale": 4}}, "61 at 1/4": {"about": about}}
    assert of_fitted(runs, 4) == "61 at 1/4"
    assert of_fitted(runs, 1) is None


def test_a_missing_peer_is_a_row_that_says_so() -> None:
    found = scenario(ours=[1.0])
    found["rows"]["aiohttp"] = [{"missing": "aiohttp is not installed"}]
    table = tables.of_ingest("VGA", found)
    assert table.rows[2][:3] == ["aiohttp", "aiohttp is not installed", "-"]
    assert reading.ratio(found, "ours", "aiohttp") is None
    assert "aiohttp is not installed" in table.plain()


def test_targets_that_were_not_measured_are_neither_held_nor_missed() -> None:
    assert {verdict.held for verdict in targets.verdicts({})} == {None}
    keys = {target.key for target in targets.TARGETS}
    assert len(keys) == len(targets.TARGETS)
    assert set(tomllib.loads(REMARKS.read_text(encoding="utf-8"))) <= keys


def test_a_target_is_missed_above_its_limit() -> None:
    found = scenario(**{"Camera to latest slot": [3.0], "tutorial's loop": [10.0]})
    missed = {v.target.key: v.held for v in targets.verdicts({"ingest": {"VGA": found}})}
    assert missed["ingest-vga"] is False
