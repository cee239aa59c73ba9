"""A campaign led by atheris, which looks for inputs that reach new code; a program of its own.

libFuzzer ends its process when it is done, and counts in its own words; `guided` starts one and reads them.
"""

from __future__ import annotations

import importlib.util
import json
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fuzz.campaign import Figures

_PROGRESS = re.compile(r"(?:cov|ft): (\d+)")


def available() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def guided(name: str, seconds: float, seed: int, corpus: Path | None) -> Figures:
    """Run a campaign in a program of its own, and read what came of it."""
    from fuzz.campaign import Figures, Finding
    from fuzz.targets import TARGETS

    target = TARGETS[name]
    with tempfile.TemporaryDirectory(prefix="espressoscope-fuzz-") as home:
        folder = Path(home)
        inputs = folder / "inputs" if corpus is None else corpus
        inputs.mkdir(parents=True, exist_ok=True)
        seeds = target.seeds()
        for number, data in enumerate(seeds):
            (inputs / f"seed-{number:03d}").write_bytes(data)
        begun = sum(1 for _ in inputs.iterdir())
        done = subprocess.run(
            [sys.executable, __file__, name, str(seconds), str(seed), str(inputs), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=seconds + 120,
            check=False,
            text=True,
            errors="replace",
        )
        figures = Figures(name, "atheris", seeds=begun, seconds=seconds)
        told = folder / "told.json"
        if told.exists():
            facts = json.loads(told.read_bytes())
            figures.slowest_s = facts["slowest_s"]
            figures.findings = {
                key: Finding(key, bytes.fromhex(data), trace)
                for key, (data, trace) in facts["findings"].items()
            }
        _read(done.stderr, figures)
        if done.returncode:  # a crash in C, time or memory without end: no exception of Python's
            key = f"atheris ended with {done.returncode}"
            figures.findings[key] = Finding(key, _crashed(folder), done.stderr[-4000:])
        figures.kept = sum(1 for _ in inputs.iterdir()) - begun
        if not figures.inputs:
            raise RuntimeError(f"atheris did not run:\n{done.stderr[-2000:]}")
    return figures


def _crashed(folder: Path) -> bytes:
    """Give the input that libFuzzer was at when it ended its process."""
    left = [path for kind in ("crash", "timeout", "oom") for path in folder.glob(f"{kind}-*")]
    return left[0].read_bytes() if left else b""


def _read(text: str, figures: Figures) -> None:
    for line in text.splitlines():
        found = _PROGRESS.findall(line)
        if len(found) == 2:
            figures.paths = int(found[0])
            if "INITED" in line:
                figures.first_paths = int(found[0])
        for word, name in (("number_of_executed_units", "inputs"), ("peak_rss_mb", "memory_mb")):
            if f"stat::{word}" in line:
                setattr(figures, name, int(line.rpartition(":")[2]))


def _child(name: str, seconds: float, seed: int, inputs: Path, folder: Path) -> None:
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    import atheris

    with atheris.instrument_imports(include=["espressoscope"]):
        from fuzz.targets import TARGETS
    import time

    from fuzz.campaign import attempt, smaller
    from fuzz.mutation import mutate

    target = TARGETS[name]
    found: dict[str, tuple[str, str]] = {}
    slowest = 0.0
    changed = time.monotonic()

    def one(data: bytes) -> None:
        nonlocal slowest, changed
        begun = time.process_time()
        _, finding = attempt(target, data)
        slowest = max(slowest, time.process_time() - begun)
        if finding is not None and finding.key not in found:
            least = smaller(target, finding)
            found[finding.key] = (least.data.hex(), least.trace)
            changed = 0.0
        if time.monotonic() - changed > 2:
            changed = time.monotonic()
            (folder / "told.json").write_text(json.dumps({"slowest_s": slowest, "findings": found}))

    others = target.seeds()

    def mutator(data: bytes, most: int, number: int) -> bytes:
        rng = random.Random(number)
        if rng.random() < 0.5:
            data = mutate(data, rng, target.tokens, others, most)
        else:
            data = atheris.Mutate(data, len(data) + 1 if len(data) < most else most)
        return target.dress(data, rng)[:most]

    words = [
        sys.argv[0],
        str(inputs),
        f"-max_total_time={seconds:.0f}",
        f"-seed={seed + 1}",
        f"-max_len={target.most}",
        "-print_final_stats=1",
        "-timeout=60",
        "-rss_limit_mb=2000",
        f"-artifact_prefix={folder}/",
    ]
    atheris.Setup(words, one, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    arguments: list[Any] = sys.argv[1:]
    _child(arguments[0], float(arguments[1]), int(arguments[2]), Path(arguments[3]), Path(arguments[4]))
