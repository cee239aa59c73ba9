"""Many cameras recorded at once: what the writer's thread takes, whether a frame is lost, and memory."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import espressoscope as es
from benchmarks.harness import progress
from benchmarks.pictures import PictureSet

if TYPE_CHECKING:
    from benchmarks.harness import Bench

THREADS = ("espressoscope-writer", "espressoscope-keeper")
WARM_S = 5.0
_SAMPLES = 2000


def many_streams(bench: Bench, folder: Path, cameras: int, seconds: float) -> dict[str, Any]:
    """Record from the load generator, 25 VGA frames a second of each camera."""
    path = bench.pictures("VGA", 512)
    with bench.load(path, "--cameras", cameras, "--fps", 25, "--arrival", "wifi", core=None) as load:
        progress(f"{cameras} cameras for {seconds:.0f} s")
        addresses = [f"127.0.0.1:{control}" for control, _ in load.ready["ports"]]
        with es.Fleet(addresses) as fleet, fleet.record(folder) as recorder:
            time.sleep(min(WARM_S, seconds / 2))
            load.report()
            began, cpu = time.perf_counter(), _cpu_s()
            written, memory = recorder.frames_written, [_resident_mb()]
            bytes_before = sum(each.bytes_written for each in recorder.progress.values())
            while time.perf_counter() - began < seconds:
                time.sleep(0.5)
                memory.append(_resident_mb())
            wall = time.perf_counter() - began
            used = {name: _cpu_s()[name] - cpu[name] for name in THREADS}
            written = recorder.frames_written - written
            size = sum(each.bytes_written for each in recorder.progress.values()) - bytes_before
            left_out = load.report()["left_out"]
        each = recorder.progress.values()
    third = max(1, len(memory) // 3)
    return {
        "cameras": cameras,
        "seconds": wall,
        "frames_per_s": written / wall,
        "mb_per_s": size / wall / 1e6,
        "dropped": recorder.frames_dropped,
        "missing": sum(one.missing for one in each),
        "left_out": left_out,
        "writer_percent": 100 * used[THREADS[0]] / wall,
        "keeper_percent": 100 * used[THREADS[1]] / wall,
        "writer_us": used[THREADS[0]] / max(1, written) * 1e6,
        "memory_first_mb": sum(memory[:third]) / third,
        "memory_last_mb": sum(memory[-third:]) / third,
        "memory_most_mb": max(memory),
        "wrong": _wrong(folder, set(PictureSet.load(path).jpegs), recorder.frames_written),
    }


def _wrong(folder: Path, pictures: set[bytes], written: int) -> int:
    """Count frames that are missing in what was recorded, and sampled ones that nobody sent."""
    run = es.open_run(folder)
    wrong = abs(written - sum(len(recording) for recording in run.values()))
    for recording in run.values():
        step = max(1, len(recording) * len(run) // _SAMPLES)
        wrong += sum(recording[place].jpeg not in pictures for place in range(0, len(recording), step))
    return wrong


def _cpu_s() -> dict[str, float]:
    """Give the CPU seconds of the recording's threads; zeros where the system does not tell."""
    found = dict.fromkeys(THREADS, 0.0)
    for thread in threading.enumerate():
        if thread.name in found and thread.ident is not None and hasattr(time, "pthread_getcpuclockid"):
            found[thread.name] += time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
    return found


def _resident_mb() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return 0.0
    return pages * 4096 / 1e6
