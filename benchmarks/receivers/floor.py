"""The floor: what remains when everything but the unavoidable is left out."""

from __future__ import annotations

import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.beside import Beside
from benchmarks.counting import Slot, Tally, ends, summed
from benchmarks.job import NotHereError, Window, cores

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.job import Job

REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def connected(port: int) -> socket.socket:
    """Open a stream."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=20)
    sock.sendall(REQUEST)
    return sock


def recv_into(job: Job) -> dict[str, Any]:
    """Receive 256 KB at a time and look at nothing; frames by bytes."""
    view = memoryview(bytearray(256 * 1024))
    received = 0
    window = Window(job, lambda: {"frames": received / job.load["frame_bytes"]})
    with connected(job.stream_ports[0]) as sock:
        sock.setblocking(True)
        while not window.over():
            for _ in range(16):
                received += sock.recv_into(view)
    return window.result


def parser_alone(job: Job) -> dict[str, Any]:
    """Receive into our parser's own buffer and count its parts."""
    from espressoscope.wire.events import Part
    from espressoscope.wire.parser import ResponseParser

    parser = ResponseParser()
    frames = 0
    window = Window(job, lambda: {"frames": frames})
    with connected(job.stream_ports[0]) as sock:
        sock.setblocking(True)
        while not window.over():
            for _ in range(16):
                for event in parser.receive(sock.recv_into(parser.get_buffer())):
                    frames += type(event) is Part
    return window.result


class _Bare:
    """One stream of `epoll_lowat`: knows no more than where the next frame ends."""

    __slots__ = ("buffer", "end", "low_water", "recv_into", "set_option", "sock", "view")

    def __init__(self, port: int) -> None:
        self.sock = connected(port)
        self.sock.setblocking(False)
        self.recv_into = self.sock.recv_into
        self.set_option = self.sock.setsockopt
        self.buffer = bytearray(256 * 1024)
        self.view = memoryview(self.buffer)
        self.end = 0
        self.low_water = 1

    def wait_for(self, missing: int) -> None:
        if missing != self.low_water:
            self.low_water = missing
            self.set_option(socket.SOL_SOCKET, socket.SO_RCVLOWAT, missing)


def epoll_lowat(job: Job) -> dict[str, Any]:
    """Hand-made epoll loop that sleeps, by SO_RCVLOWAT, until the whole picture is there; checks nothing."""
    if not hasattr(select, "epoll") or not hasattr(socket, "SO_RCVLOWAT"):
        raise NotHereError("no epoll on this system")
    streams = [_Bare(port) for port in job.stream_ports]
    slots = [Slot() for _ in streams]
    wakeups = [0]
    window = Window(job, ends(job, slots, wakeups).counts)
    epoll = select.epoll()
    by_file = {stream.sock.fileno(): (stream, slot) for stream, slot in zip(streams, slots, strict=True)}
    for file in by_file:
        epoll.register(file, select.EPOLLIN)
    while not window.over():
        for file, _ in epoll.poll(1.0):
            stream, slot = by_file[file]
            wakeups[0] += 1
            end = stream.end + stream.recv_into(stream.view[stream.end :])
            missing = 1
            begin = 0
            while True:
                head = stream.buffer.find(b"Content-Length: ", begin, end)
                stop = stream.buffer.find(b"\r\n\r\n", head, end) if head >= 0 else -1
                if stop < 0:
                    break
                # Behind the empty line the chunk of the headers ends, and the picture's begins with its size.
                line = stream.buffer.find(b"\r\n", stop + 6, end)
                if line < 0:
                    break
                body = line + 2
                last = body + int(stream.buffer[head + 16 : stop])
                if last > end:
                    missing = last - end
                    break
                slot.newest = bytes(stream.view[body:last])
                slot.frames += 1
                begin = last
            if begin:
                stream.view[: end - begin] = stream.view[begin:end]
            stream.end = end - begin
            stream.wait_for(missing)
    return window.result


def bare_decode(job: Job) -> dict[str, Any]:
    """Decode the pictures from memory into one buffer, without a pause; option ``fps`` with pauses."""
    import simplejpeg

    pictures = job.picture_set()
    width, height, _ = pictures.size
    buffer = np.empty((height, width, 3), np.uint8)
    read = pictures.strip_reader()
    tally = Tally(len(pictures))
    beside = Beside(job, pictures)
    window = Window(job, lambda: summed([tally]), beside)
    fps = job.options.get("fps", 0.0)
    pause = 1 / fps if fps else 0.0
    due = time.perf_counter()
    while True:
        for jpeg in pictures.jpegs:
            due += pause
            wait = due - time.perf_counter() if pause else 0.0
            if wait > 0:
                time.sleep(wait)
            image = simplejpeg.decode_jpeg(jpeg, "RGB", min_height=height, min_width=width, buffer=buffer)
            tally.add(number := read(image))
            beside.decode(number)
            if window.over():
                return window.result


def bare_decode_all_cores(job: Job) -> dict[str, Any]:
    """Decode the pictures from memory with one thread for each core: the most this machine can do."""
    import simplejpeg

    pictures = job.picture_set()
    scale = job.options.get("scale", 1)
    width, height = pictures.size.width // scale, pictures.size.height // scale
    counts = [0] * cores()
    stop = threading.Event()

    def decode(number: int) -> None:
        buffer = np.empty((height, width, 3), np.uint8)
        while not stop.is_set():
            for jpeg in pictures.jpegs[:64]:
                simplejpeg.decode_jpeg(jpeg, "RGB", min_height=height, min_width=width, buffer=buffer)
                counts[number] += 1

    threads = [threading.Thread(target=decode, args=(number,)) for number in range(len(counts))]
    window = Window(job, lambda: {"frames": sum(counts), "lost": 0, "unknown": 0})
    for thread in threads:
        thread.start()
    window.sleep()
    stop.set()
    for thread in threads:
        thread.join()
    return window.result


def receive_and_decode(job: Job) -> dict[str, Any]:
    """Receive with our parser and decode with bare simplejpeg, in one thread: the parts without the house."""
    import simplejpeg

    from espressoscope.wire.events import Part
    from espressoscope.wire.parser import ResponseParser

    pictures = job.picture_set()
    width, height, _ = pictures.size
    buffer = np.empty((height, width, 3), np.uint8)
    read = pictures.strip_reader()
    tally = Tally(len(pictures))
    beside = Beside(job, pictures)
    window = Window(job, lambda: summed([tally]), beside)
    parser = ResponseParser()
    with connected(job.stream_ports[0]) as sock:
        sock.setblocking(True)
        while True:
            for event in parser.receive(sock.recv_into(parser.get_buffer())):
                if type(event) is Part:
                    image = simplejpeg.decode_jpeg(
                        bytes(event.body), "RGB", min_height=height, min_width=width, buffer=buffer
                    )
                    tally.add(number := read(image))
                    beside.decode(number)
            if window.over():
                return window.result


ROWS: dict[str, Callable[[Job], dict[str, Any]]] = {
    "bare recv_into": recv_into,
    "our parser alone": parser_alone,
    "bare epoll + SO_RCVLOWAT": epoll_lowat,
    "bare decode": bare_decode,
    "bare decode on all cores": bare_decode_all_cores,
    "our parser + bare decode": receive_and_decode,
}
