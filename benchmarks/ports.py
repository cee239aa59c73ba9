"""The doors of the load generator: control ports that answer /status, stream ports that hand viewers over."""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Ports:
    """Two listening ports for each camera, as a Matchboxscope has them, served by one thread.

    Parameters
    ----------
    count : int
        Cameras.
    viewer : callable
        Takes a camera's number and the socket of a viewer whose request has come.
    """

    def __init__(self, count: int, viewer: Callable[[int, socket.socket], None]) -> None:
        self._viewer = viewer
        self._selector = selectors.DefaultSelector()
        self.pairs: list[tuple[int, int]] = []
        for camera in range(count):
            control = self._listen(camera, self._answer)
            stream = self._listen(camera, self._hand_over)
            self.pairs.append((control, stream))

    def _listen(self, camera: int, serve: Callable[[int, socket.socket], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0), backlog=16)
        listener.setblocking(False)

        def accept() -> None:
            connection, _ = listener.accept()
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, lambda: serve(camera, connection))

        self._selector.register(listener, selectors.EVENT_READ, accept)
        return int(listener.getsockname()[1])

    def serve(self) -> None:
        """Serve until the process ends; a thread's whole life."""
        while True:
            for key, _ in self._selector.select():
                try:
                    key.data()
                except OSError:
                    if key.data.__name__ != "accept":
                        self._close(key.fileobj)

    def _close(self, connection: object) -> None:
        assert isinstance(connection, socket.socket)
        self._selector.unregister(connection)
        connection.close()

    def _hand_over(self, camera: int, connection: socket.socket) -> None:
        self._selector.unregister(connection)
        if connection.recv(4096):
            self._viewer(camera, connection)
        else:
            connection.close()

    def _answer(self, camera: int, connection: socket.socket) -> None:
        if not connection.recv(4096):
            self._close(connection)
            return
        body = (
            f'{{"framesize":8,"quality":12,"cam_name":"load-{camera:03}","isStack":"0",'
            f'"stream_url":"http://127.0.0.1:{self.pairs[camera][1]}/"}}'
        ).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        connection.sendall(head % len(body) + body)
