"""Show a camera live in an OpenCV window until q is pressed: the tutorial's loop.

python tutorial_loop.py 192.168.4.1                a camera at this address
python tutorial_loop.py --simulate                 a simulated camera, without hardware
python tutorial_loop.py ... --no-window            without a window, twenty pictures
"""

import contextlib
import sys

import espressoscope as es
from espressoscope.sim import SimulatedCamera

try:
    import cv2
except ImportError:
    sys.exit("This example needs OpenCV: pip install opencv-python")


def main(address: str, window: bool) -> None:
    shown, newest = 0, None
    with es.Camera(address) as cam:
        while window or shown < 20:
            frame = cam.latest(after=newest)  # the newest picture there is, never a queue of old ones
            newest = frame.sequence
            image = frame.image(order="BGR")  # the order of colours that OpenCV wants
            shown += 1
            if window:
                cv2.imshow("camera (q ends)", image)
                if cv2.waitKey(1) & 0xFF == ord("q"):
                    break
    print(f"{shown} pictures shown, {image.shape[1]} x {image.shape[0]} pixels")


words = [word for word in sys.argv[1:] if word != "--no-window"] or sys.exit(__doc__)
try:
    with SimulatedCamera() if words == ["--simulate"] else contextlib.nullcontext() as camera:
        main(camera.url if camera else words[0], "--no-window" not in sys.argv)
except es.CameraError as error:
    sys.exit(str(error))
