"""A saturating camera in a process of its own: answers /status, sends frames as fast as they are taken.

Layout C of Matchboxscope (boundary, then headers and JPEG, chunked), byte for byte as the firmware sends
it. Run by the benchmarks; `python benchmarks/load.py --bytes 19000` prints the control and the stream port.
"""

from __future__ import annotations

import argparse
import random
import socket
import sys
import threading

BOUNDARY = b"\r\n--123456789000000000000987654321\r\n"
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=123456789000000000000987654321\r\n"
    b"Transfer-Encoding: chunked\r\nAccess-Control-Allow-Origin: *\r\n\r\n"
)
BATCH_BYTES = 1 << 20


def chunk(data: bytes) -> bytes:
    """Wrap as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def jpeg_like(size: int, width: int, height: int, number: int) -> bytes:
    """Give bytes with a JPEG's markers and entropy-like content; not decodable, no stray marker inside."""
    start = bytes.fromhex("ffd8ffe000104a46494600010101000000000000ffdb004300") + bytes(range(1, 65))
    sof = b"\xff\xc0\x00\x11\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x03"
    sof += bytes.fromhex("012100021101031101")
    sos = bytes.fromhex("ffda000c03010002110311003f00")
    body = random.Random(number).randbytes(size - len(start + sof + sos) - 2).replace(b"\xff", b"\xfe")
    return start + sof + sos + body + b"\xff\xd9"


def frame(jpeg: bytes) -> bytes:
    """Give one frame as the firmware sends it."""
    head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
    return chunk(head) + chunk(jpeg) + chunk(BOUNDARY)


def batches(size: int, width: int, height: int) -> list[bytes]:
    """Give a few hundred KB of frames to send again and again, different ones."""
    count = max(4, min(64, BATCH_BYTES // size))
    frames = [frame(jpeg_like(size + 16 * n, width, height, n)) for n in range(count)]
    return [b"".join(frames)]


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
    (data,) = batches(asked.bytes, asked.width, asked.height)
    control = socket.create_server(("127.0.0.1", 0))
    stream = socket.create_server(("127.0.0.1", 0))
    stream_port = stream.getsockname()[1]
    threading.Thread(target=serve_status, args=(control, stream_port), daemon=True).start()
    threading.Thread(target=serve_stream, args=(stream, data), daemon=True).start()
    print(control.getsockname()[1], stream_port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
