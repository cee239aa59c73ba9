"""Follow a camera's stream for a hundred frames, then say how it went.

python watch_stream.py 192.168.4.1 [frames]       a camera at this address
python watch_stream.py --simulate [frames]        a simulated camera, without hardware
"""

import sys

import espressoscope as es
from espressoscope.sim import SimulatedCamera


def main(address: str, frames: int) -> None:
    with es.Camera(address) as cam:
        expected = None
        for frame in cam.stream():
            # The stream is in order. A jump in the sequence means that we were too slow for some frames.
            gap = "" if expected in (None, frame.sequence) else f"  {frame.sequence - expected} frames missed"
            expected = frame.sequence + 1
            print(f"frame {frame.sequence}: {frame.width}x{frame.height}, {len(frame.jpeg)} bytes{gap}")
            frames -= 1
            if frames <= 0:
                break
        stats = cam.stats
    print(f"{stats.frames} frames, {stats.fps:.1f} per second, {stats.kb_per_s:.0f} KB/s")
    print(f"{stats.damaged} damaged, {stats.dropped} dropped, {stats.reconnects} reconnects")


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3 or sys.argv[1] in ("-h", "--help"):
        sys.exit(__doc__)
    wanted = int(sys.argv[2]) if len(sys.argv) == 3 else 100
    try:
        if sys.argv[1] == "--simulate":
            with SimulatedCamera() as camera:
                main(camera.url, wanted)
        else:
            main(sys.argv[1], wanted)
    except es.CameraError as error:
        sys.exit(str(error))
