"""Compare several cameras at the same instants: how bright each one is, and which had no picture.

python same_instant.py 10.0.0.20 10.0.0.21         cameras at these addresses
python same_instant.py --simulate                  three simulated cameras, without hardware
"""

import sys
from itertools import islice

import espressoscope as es
from espressoscope.sim import simulate


def main(addresses: list[str]) -> None:
    with es.Fleet(addresses) as fleet:
        first = fleet.names[0]
        lock = fleet.lock_exposure(to=first)
        for what, why in lock.unequal.items():
            print(f"{what} cannot be made equal to {first}'s: {why}")
        print(" ".join(f"{name:>22}" for name in fleet))
        with fleet.sets(tolerance_ms=60) as sets:
            for together in islice(sets, 10):
                print(" ".join(f"{brightness(frame):>22}" for frame in together.frames.values()))


def brightness(frame: es.Frame | None) -> str:
    """Say how bright a picture is; a camera without one at this instant gets no old one instead."""
    return "-" if frame is None else f"{frame.image(scale=8, gray=True).mean():.1f}"


if __name__ == "__main__":
    try:
        if sys.argv[1:] == ["--simulate"]:
            with simulate(3, port=0, framesize="QVGA", fps=20) as cameras:
                main([camera.url for camera in cameras])
        else:
            main(sys.argv[1:] or sys.exit(__doc__))
    except es.CameraError as error:
        sys.exit(str(error))
