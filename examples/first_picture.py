"""Take one fresh picture and save it as first_picture.jpg.

python first_picture.py 192.168.4.1       a camera at this address
python first_picture.py --simulate        a simulated camera, without hardware
"""

import sys
from pathlib import Path

import espressoscope as es
from espressoscope.sim import SimulatedCamera


def main(address: str) -> None:
    with es.Camera(address) as cam:
        frame = cam.snap()
    Path("first_picture.jpg").write_bytes(frame.jpeg)
    image = frame.image()
    print(f"first_picture.jpg: {frame.width} x {frame.height} pixels, {len(frame.jpeg)} bytes")
    print(f"as an array: shape {image.shape}, mean gray value {image.mean():.1f}")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    try:
        if sys.argv[1] == "--simulate":
            with SimulatedCamera() as camera:
                main(camera.url)
        else:
            main(sys.argv[1])
    except es.CameraError as error:
        sys.exit(str(error))
