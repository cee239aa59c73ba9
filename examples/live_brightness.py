"""Work on the pictures of many cameras as they come: on all of the computer's processors, never behind time.

python live_brightness.py 10.0.0.20 10.0.0.21      cameras at these addresses, for 5 seconds
python live_brightness.py --simulate               six simulated cameras, without hardware
"""

import sys
import time

import numpy as np

import espressoscope as es
from espressoscope.sim import simulate

newest: dict[str, float] = {}


def measure(frame: es.Frame, image: np.ndarray) -> None:
    """Measure one picture; called on a decode thread, and skipped over when it is too slow."""
    newest[frame.camera] = float(image.mean())


def main(addresses: list[str]) -> None:
    with es.Fleet(addresses) as fleet, fleet.view(measure, scale=4, gray=True) as view:
        for _ in range(5):
            time.sleep(1)
            print("  ".join(f"{name}: {newest[name]:.1f}" for name in sorted(newest)) or "no picture yet")
        print(f"{view.decoded} pictures measured, {view.superseded} skipped for newer ones")
        if not view.decoded:
            sys.exit("\n".join(f"{name}: {message}" for name, message in fleet.messages().items()))


if __name__ == "__main__":
    if sys.argv[1:2] in ([], ["-h"], ["--help"]):
        sys.exit(__doc__)
    if sys.argv[1:] == ["--simulate"]:
        with simulate(6, port=0) as cameras:
            main([camera.url for camera in cameras])
    else:
        main(sys.argv[1:])
