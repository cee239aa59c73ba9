"""Put the newest picture of several cameras into one array, each at its own place, and save it as grid.png.

python grid.py 10.0.0.20 10.0.0.21 10.0.0.22       cameras at these addresses
python grid.py --simulate                          four simulated cameras, without hardware
"""

import math
import sys

import numpy as np
from PIL import Image

import espressoscope as es
from espressoscope.sim import simulate

TILE = (300, 400)  # rows, columns: half of SVGA; what is larger is cut off


def main(addresses: list[str]) -> None:
    columns = math.ceil(math.sqrt(len(addresses)))
    rows = math.ceil(len(addresses) / columns)
    tiles = np.zeros((rows, columns, *TILE, 3), np.uint8)
    for place, address in enumerate(addresses):
        try:
            with es.Camera(address) as cam:
                image = cam.latest().image(scale=2)[: TILE[0], : TILE[1]]
        except es.CameraError as error:
            print(error)  # its place stays black; the others stay where they are
            continue
        tiles[divmod(place, columns)][: image.shape[0], : image.shape[1]] = image
    grid = tiles.swapaxes(1, 2).reshape(rows * TILE[0], columns * TILE[1], 3)
    Image.fromarray(grid).save("grid.png")
    print(f"grid.png: {rows} x {columns} places, {grid.shape[1]} x {grid.shape[0]} pixels")


if sys.argv[1:] == ["--simulate"]:
    with simulate(4, port=0) as cameras:
        main([camera.url for camera in cameras])
else:
    main(sys.argv[1:] or sys.exit(__doc__))
