"""The napari plugin live: pictures shown, CPU and the worst gap of the thread that draws, by situation.

    python -m benchmarks.napari_live             5 runs, about 25 minutes
    python -m benchmarks.napari_live --short     one short run, about 4 minutes
    python -m benchmarks.napari_live --page      and write docs/performance-napari.md
    python -m benchmarks.napari_live --why 40    tell on stderr where the thread was in gaps longer than 40 ms

napari runs in a process of its own on a screen of its own (Xvfb, 2560 x 1440, software OpenGL), unless
--this-screen says to use the one there is. The simulated cameras are other processes, at 25 frames a second;
one of them is stopped (SIGSTOP) and one killed for the situations with dead cameras. The search goes to 254
addresses of loopback; --network names another network, for example in a network namespace, where silence
answers. The worst gap is the median over the runs of each run's maximum, from one beat of a 4 ms timer to the
next; beside it how much of that gap the thread computed: the rest it waited for a processor, or for software
that draws. The canvas has the size it has in the figures that are aimed at; once more with a small one, which
takes this machine as long to draw as that one took theirs. What napari reaches alone stands beside both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.harness import REPO, Others, progress
from benchmarks.napari_page import PAGE, page, table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NETWORK = "127.0.77.0/24"
SCENES = {"1 x VGA": (1, "VGA"), "24 x 320x240": (24, "QVGA"), "24 x VGA": (24, "VGA")}
ALL = "24 x VGA"
"""The scene in which every situation is measured."""
ALONE = "napari alone"
SMALL = ", small canvas"
"""A scene with this is shown on a small canvas; as high as the widget beside it needs."""
CANVAS = {"": (1312, 951), SMALL: (400, 672)}
SCENE_S = 400.0
"""Longest a scene may take."""


@contextlib.contextmanager
def screen() -> Iterator[None]:
    """Have an X server of our own."""
    if shutil.which("Xvfb") is None:
        raise SystemExit("Xvfb is not installed (Debian: xvfb); --this-screen uses the screen there is")
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "2560x1440x24", "+extension", "GLX"]
    with subprocess.Popen(
        [*command, "-nolisten", "tcp"], pass_fds=[write], stderr=subprocess.DEVNULL
    ) as server:
        os.close(write)
        try:
            with os.fdopen(read) as pipe:
                os.environ["DISPLAY"] = f":{pipe.readline().strip()}"
            os.environ["QT_QPA_PLATFORM"] = "xcb"
            yield
        finally:
            server.terminate()


@contextlib.contextmanager
def cameras(count: int, size: str, fps: float) -> Iterator[tuple[int, list[str]]]:
    """Run simulated cameras; give the process and their addresses."""
    command = [sys.executable, "-m", "espressoscope", "simulate", "-n", str(count), "--port", "0", "--json"]
    command += ["--fps", str(fps), "--framesize", size, "--exit-with-parent"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=REPO
    ) as process:
        assert process.stdout is not None
        try:
            yield process.pid, [json.loads(process.stdout.readline())["url"] for _ in range(count)]
        finally:
            process.kill()  # one may be stopped


def run(scene: str, asked: argparse.Namespace, home: str) -> list[dict[str, Any]]:
    """Go through one scene; give its rows."""
    seconds = 3.0 if asked.short else 10.0
    plain = scene.removesuffix(SMALL)
    command = [sys.executable, "-m", "benchmarks.napari_scene", "--scene", scene, "--seconds", str(seconds)]
    command += ["--canvas", *map(str, CANVAS[scene.removeprefix(plain)])]
    if asked.why is not None:
        command += ["--why", str(asked.why)]
    with contextlib.ExitStack() as ending:
        if plain in SCENES:
            count, size = SCENES[plain]
            whole = scene == ALL
            _, urls = ending.enter_context(cameras(count - 2 * whole, size, asked.fps))
            if whole:
                (stall, first), (kill, second) = (
                    ending.enter_context(cameras(1, size, asked.fps)) for _ in range(2)
                )
                urls += first + second
                command += ["--all", "--network", asked.network, "--stall", str(stall), "--kill", str(kill)]
            command += ["--urls", *urls]
        done = subprocess.run(
            command,
            cwd=REPO,
            env={**os.environ, "NAPARI_CONFIG": f"{home}/settings.yaml"},
            stdout=subprocess.PIPE,
            stderr=None if asked.why is not None or asked.loud else subprocess.DEVNULL,
            text=True,
            timeout=SCENE_S,
            check=False,
        )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode:
        print(f"{scene} ended with {done.returncode}: --loud shows its words", file=sys.stderr)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and write the page where that is asked."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m benchmarks.napari_live", description=__doc__, formatter_class=formatter
    )
    parser.add_argument("--short", action="store_true", help="one run of 3 s each")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--fps", type=float, default=25.0)
    scenes = [name + kind for kind in CANVAS for name in (*SCENES, ALONE)]
    parser.add_argument("--scene", action="append", choices=scenes, help="only this one; may be repeated")
    parser.add_argument("--network", default=NETWORK, help="what is searched, CIDR")
    parser.add_argument("--why", type=float, metavar="MS", help="tell where the thread was in longer gaps")
    parser.add_argument("--loud", action="store_true", help="show what napari says on stderr")
    parser.add_argument("--this-screen", action="store_true", help="use the screen there is")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write raw figures here")
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(REPO)}")
    asked = parser.parse_args(arguments)
    os.environ["ESPRESSOSCOPE_NETWORKS"] = "127.0.0.1/32"
    runs: list[list[dict[str, Any]]] = []
    others = Others()
    with contextlib.ExitStack() as ending:
        home = ending.enter_context(tempfile.TemporaryDirectory(prefix="espressoscope-bench-"))
        if not asked.this_screen:
            ending.enter_context(screen())
        count = 1 if asked.short else asked.runs
        for number in range(count):
            rows: list[dict[str, Any]] = []
            runs.append(rows)
            for scene in asked.scene or scenes:
                progress(f"run {number + 1} of {count}: {scene}")
                rows += run(scene, asked, home)
    busy = others.percent()
    if asked.json:
        asked.json.write_text(json.dumps({"runs": runs, "others_percent": busy}), encoding="utf-8")
    print(table(runs))
    print(f"others used {busy} % of a core meanwhile")
    if asked.page:
        how = f"{count} run{'s' if count > 1 else ''} of {3 if asked.short else 10} s"
        PAGE.write_text(page(runs, how, busy), encoding="utf-8")
        progress(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
