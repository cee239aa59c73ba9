"""A function for the live pictures in napari: how steep brightness is, so where the picture is sharp.

In napari's widget, tab "Function": edges_function.py:edges. Here it is tried without napari:

python edges_function.py 192.168.4.1      one picture of a camera at this address
python edges_function.py --simulate       one of a simulated camera, without hardware
"""

import sys

import numpy as np

import espressoscope as es
from espressoscope.sim import SimulatedCamera


def edges(frame: es.Frame, picture: np.ndarray) -> np.ndarray:
    """Give an array of the same size: napari shows its lowest value black, its highest white."""
    down, across = np.gradient(picture.mean(axis=2))
    return np.hypot(down, across)


def main(address: str) -> None:
    with es.Camera(address) as camera:
        frame = camera.snap()
    made = edges(frame, frame.image())
    print(f"edges of {made.shape[1]} x {made.shape[0]} pixels, up to {made.max():.1f} per pixel")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        if sys.argv[1] == "--simulate":
            with SimulatedCamera() as simulated:
                main(simulated.url)
        else:
            main(sys.argv[1])
    except es.CameraError as error:
        sys.exit(str(error))
