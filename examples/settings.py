"""Show what can be set on a camera, change two settings, and see what became of them.

python settings.py 192.168.4.1            a camera at this address
python settings.py --simulate             a simulated camera, without hardware
"""

import sys

import espressoscope as es
from espressoscope.sim import SimulatedCamera


def main(address: str) -> None:
    with es.Camera(address) as cam:
        for setting in cam.settings.values():
            allowed = f"{setting.minimum} to {setting.maximum}" if setting.kind == "int" else setting.kind
            print(f"{setting.name:<20} {setting.value!s:<10} {allowed:<14} {setting.doc}")

        # Both are checked before the first is sent, sent, and read back from the camera.
        for name, result in cam.set(framesize="VGA", quality=12).items():
            print(f"{name}: asked for {result.asked}, the camera has {result.actual}")

        try:
            cam.set(quality=1000)
        except es.SettingError as error:
            print(f"nothing was sent: {error}")


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
