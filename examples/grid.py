"""Put the newest picture of several cameras into one array, each at its own place, and save it as grid.png.

python grid.py 10.0.0.20 10.0.0.21 10.0.0.22       cameras at these addresses
python grid.py --simulate                          four simulated cameras, without hardware
"""

import sys

from PIL import Image

import espressoscope as es
from espressoscope.sim import simulate


def main(addresses: list[str]) -> None:
    with es.Fleet(addresses) as fleet:
        grid = fleet.mosaic(max_width=1280)
        for name, message in fleet.messages().items():
            if message:
                print(f"{name}: {message}")  # its tile stays dark; the others stay where they are
    Image.fromarray(grid).save("grid.png")
    print(f"grid.png: {len(addresses)} cameras, {grid.shape[1]} x {grid.shape[0]} pixels")


if sys.argv[1:2] in ([], ["-h"], ["--help"]):
    sys.exit(__doc__)
if sys.argv[1:] == ["--simulate"]:
    with simulate(4, port=0) as cameras:
        main([camera.url for camera in cameras])
else:
    main(sys.argv[1:])
