"""Take a series of stills with different light: each picture is begun after its setting has been made.

python fresh_stills.py 192.168.4.1            a camera at this address
python fresh_stills.py --simulate             a simulated camera, without hardware
"""

import sys
from pathlib import Path

import espressoscope as es
from espressoscope.sim import SimulatedCamera


def main(address: str) -> None:
    folder = Path("stills")
    folder.mkdir(exist_ok=True)
    with es.Camera(address) as cam:
        # Automatics off: otherwise the camera makes up for the light we change.
        cam.set(aec=False, agc=False, awb=False, aec_value=300, agc_gain=0)
        for lamp in (0, 25, 50, 100):
            cam.set(lamp=lamp)
            frame = cam.snap()  # never an old picture out of the camera's buffers
            path = folder / f"lamp-{lamp:03d}.jpg"
            path.write_bytes(frame.jpeg)
            print(f"{path.as_posix()}: mean gray value {frame.image(gray=True).mean():.1f}")


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
