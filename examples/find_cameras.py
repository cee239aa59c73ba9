"""Find cameras on the network and show them as they answer.

python find_cameras.py                    the networks this computer is in, and a camera's own access point
python find_cameras.py 192.168.1.0/24     this network and nothing else
python find_cameras.py --simulate         three simulated cameras, without hardware
"""

import sys
from urllib.parse import urlsplit

import espressoscope as es
from espressoscope.sim import simulate


def main(networks: list[str] | None = None, ports: list[int] | None = None) -> None:
    found = 0
    for info in es.discover(networks=networks, ports=ports):
        found += 1
        print(f"{info.name:<20} {info.url:<28} {info.firmware:<16} {info.mac or '-':<18} by {info.found_by}")
    if not found:
        sys.exit("No camera found. Is it switched on, and in the same network as this computer?")


if __name__ == "__main__":
    if "-h" in sys.argv or "--help" in sys.argv:
        sys.exit(__doc__)
    try:
        if sys.argv[1:] == ["--simulate"]:
            with simulate(3, port=0) as cameras:
                main(["127.0.0.1/32"], [urlsplit(camera.url).port or 80 for camera in cameras])
        else:
            main(sys.argv[1:] or None)
    except es.CameraError as error:
        sys.exit(str(error))
