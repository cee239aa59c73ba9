"""A saturating camera in a process of its own: answers /status, sends frames as fast as they are taken.

Layout C of Matchboxscope (boundary, then headers and JPEG, chunked), byte for byte as the firmware sends
it. Run by the benchmarks; `python benchmarks/load.py --bytes 19000` prints the control port, the stream
port and the mean bytes of a frame on the wire.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading

import numpy as np
from PIL import Image

from espressoscope.sim.encode import encode

BOUNDARY = b"\r\n--123456789000000000000987654321\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=123456789000000000000987654321\r\n"
    b"Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
)
BATCH_BYTES = 1 << 20


def chunk(data: bytes) -> bytes:
    """Wrap as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def jpegs(size: int, width: int, height: int, count: int) -> list[bytes]:
    """Give different pictures with a sensor's headers and tables, each of about `size` bytes."""
    noise = np.random.default_rng(1)

    def picture(grain: int, number: int) -> bytes:
        small = noise.integers(0, 255, (height // grain + 1, width // grain + 1, 3), dtype=np.uint8)
        large = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
        return encode(Image.fromarray(np.roll(large, 16 * number, axis=1)), 12)

    grain = min(range(6, 120, 6), key=lambda grain: abs(len(picture(grain, 0)) - size))
    return [picture(grain, number) for number in range(count)]


def frame(jpeg: bytes) -> bytes:
    """Give one frame as the firmware sends it."""
    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
    return chunk(head) + chunk(jpeg) + chunk(BOUNDARY)


def serve_stream(listener: socket.socket, data: bytes) -> None:
    """Serve one stream after another until the process ends."""
    while True:
        connection, _ = listener.accept()
        try:
            connection.recv(4096)
            connection.sendall(HEAD + chunk(BOUNDARY))
            while True:
                connection.sendall(data)
        except OSError:
            connection.close()


def serve_status(listener: socket.socket, stream_port: int) -> None:
    """Answer every request with a Matchboxscope's /status."""
    body = (
        '{"framesize":8,"quality":12,"cam_name":"load","isStack":"0",'
        f'"stream_url":"http://127.0.0.1:{stream_port}/"}}'
    ).encode()
    reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    while True:
        connection, _ = listener.accept()
        with connection:
            try:
                connection.recv(4096)
                connection.sendall(reply)
                connection.recv(4096)
            except OSError:
                continue


def main() -> None:
    """Serve until stdin closes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=19000)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    asked = parser.parse_args()
    count = max(4, BATCH_BYTES // asked.bytes)
    frames = [frame(jpeg) for jpeg in jpegs(asked.bytes, asked.width, asked.height, count)]
    control = socket.create_server(("127.0.0.1", 0))
    stream = socket.create_server(("127.0.0.1", 0))
    stream_port = stream.getsockname()[1]
    threading.Thread(target=serve_status, args=(control, stream_port), daemon=True).start()
    threading.Thread(target=serve_stream, args=(stream, b"".join(frames)), daemon=True).start()
    print(control.getsockname()[1], stream_port, sum(map(len, frames)) // count, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
