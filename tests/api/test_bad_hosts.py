"""Whatever answers at an address that is no camera: one clear error, in bounded time and memory."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

import espressoscope as es

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support import PrivateNetwork


@contextlib.contextmanager
def server(serve: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Answer each connection with `serve(connection, request)` until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_connections: list[socket.socket] = []
    workers: list[threading.Thread] = []

    def answer(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and (more := connection.recv(4096)):
                request += more
            serve(connection, request)

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            workers.append(threading.Thread(target=answer, args=(connection,)))
            workers[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join(5)
        for connection in open_connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for worker in workers:
            worker.join(5)


def reply(
    body: bytes, status: str = "200 OK", headers: bytes = b""
) -> Callable[[socket.socket, bytes], None]:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode() + headers + b"\r\n"

    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(head + body)

    return serve


def failure(url: str) -> es.CameraError:
    with pytest.raises(es.CameraError) as caught:
        es.Camera(url).open()
    error = caught.value
    assert error.hint, "an error says what to try"
    assert "127.0.0.1" in str(error) or ".invalid" in str(error), "an error names the camera"
    return error


def test_unresolvable() -> None:
    error = failure("no-such-host.invalid")
    assert isinstance(error, es.ConnectError)
    assert error.reason is es.ConnectReason.UNRESOLVED


def test_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    error = failure(f"127.0.0.1:{port}")
    assert isinstance(error, es.ConnectError)
    assert error.reason is es.ConnectReason.REFUSED


@pytest.mark.parametrize(
    "serve",
    [
        reply(b"<html><body>It works!</body></html>"),
        reply(b"<html>no</html>", "404 Not Found"),
        reply(b"", "500 Internal Server Error"),
        reply(b'{"printer":"ready","status":"ok"}'),
        reply(b"[1, 2, 3]"),
        reply(b""),
        reply(b"\x00\xff" * 100),
    ],
    ids=["html", "404", "500", "other-json", "list", "empty", "binary"],
)
def test_not_a_camera(serve: Callable[[socket.socket, bytes], None]) -> None:
    with server(serve) as url:
        error = failure(url)
    assert isinstance(error, es.ConnectError)
    assert error.reason is es.ConnectReason.NOT_A_CAMERA


def test_silent() -> None:
    with server(lambda connection, request: None) as url:
        error = failure(url)
    assert isinstance(error, es.CameraTimeout)
    assert error.phase == "status"
    assert error.timeout_s > 0


def test_closes_without_a_word() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.shutdown(socket.SHUT_RDWR)

    with server(serve) as url:
        assert isinstance(failure(url), es.RemoteProtocolError)


def test_two_gigabytes_announced() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
        while True:
            connection.sendall(bytes(65536))

    with server(serve) as url:
        assert isinstance(failure(url), es.RemoteProtocolError)


@pytest.mark.parametrize(
    "endless", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n", b"garbage ", b"HTTP/1.1 200 OK\r\n\r\n"]
)
def test_an_endless_answer(endless: bytes) -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(endless)
        while True:
            connection.sendall(b"a: b\r\n" * 1000 if endless.endswith(b"OK\r\n") else b"x" * 65536)

    with server(serve) as url:
        error = failure(url)
    assert isinstance(error, es.RemoteProtocolError)
    assert len(error.sample) <= 64


def test_settings_that_are_refused_or_do_not_take_are_reported() -> None:
    status = reply(b'{"framesize":8,"quality":12,"lamp":0,"cam_name":"stubborn","isStack":"0"}')
    accept, refuse = (
        reply(b""),
        reply(b"Server has encountered an unexpected error", "500 Internal Server Error"),
    )

    def serve(connection: socket.socket, request: bytes) -> None:
        answer = refuse if b"var=lamp" in request else accept if b"/control" in request else status
        answer(connection, request)

    with server(serve) as url, es.Camera(url) as cam:
        results = cam.set(quality=20, lamp=50, framesize="VGA", strict=False)
        assert {name: result.ok for name, result in results.items()} == {
            "quality": False,
            "lamp": False,
            "framesize": True,
        }
        assert results["quality"].actual == 12
        assert "500" in results["lamp"].message
        with pytest.raises(es.SettingError, match="the camera has 12") as caught:
            cam.set(quality=20)
        assert caught.value.results["quality"].asked == 20


@pytest.mark.parametrize("restored", [True, False])
def test_a_large_still_that_fails_says_why_and_what_became_of_the_size(restored: bool) -> None:
    index = 8
    asked: list[bytes] = []

    def serve(connection: socket.socket, request: bytes) -> None:
        nonlocal index
        line = request.split(b"\r\n")[0]
        asked.append(line)
        if b"/control" in line:
            if b"val=8" in line and not restored:
                return reply(b"", "500 Internal Server Error")(connection, request)
            index = int(line.split(b"val=")[1].split()[0])
            return reply(b"")(connection, request)
        if b"/capture" in line:
            return reply(b"no memory", "500 Internal Server Error")(connection, request)
        return reply(b'{"framesize":%d,"quality":12,"cam_name":"small","isStack":"0"}' % index)(
            connection, request
        )

    with server(serve) as url, es.Camera(url) as cam:
        with pytest.raises(es.RemoteProtocolError, match="took no picture") as caught:
            cam.snap(framesize="UXGA")
        assert ("may still be UXGA" in str(caught.value)) is not restored
        assert cam.status()["framesize"] == ("VGA" if restored else "UXGA")
    assert any(b"framesize&val=8" in line for line in asked)


def test_a_password_is_wanted_used_and_never_shown() -> None:
    wanted = base64.b64encode(b"me:geheim").decode()
    status = reply(b'{"framesize":8,"quality":12,"cam_name":"locked","sd_card":0,"isStack":"0"}')
    refuse = reply(b"no", "401 Unauthorized", b'WWW-Authenticate: Basic realm="cam"\r\n')

    def serve(connection: socket.socket, request: bytes) -> None:
        (status if f"Authorization: Basic {wanted}".encode() in request else refuse)(connection, request)

    with server(serve) as url:
        for wrong in (url, url.replace("//", "//me:falsch@")):
            error = failure(wrong)
            assert isinstance(error, es.ConnectError)
            assert error.reason is es.ConnectReason.AUTH
            assert "falsch" not in str(error) + repr(error)
        with es.Camera(url.replace("//", "//me:geheim@")) as cam:
            assert cam.info.name == "locked"
            assert "geheim" not in f"{cam!r} {cam.info}"


def test_the_tutorials_own_status_and_its_foreign_host() -> None:
    tutorial = (
        b'{"lamp":100,"autolamp":1,"min_frame_time":0,"framesize":8,"quality":12,"xclk":8,'
        b'"cam_name":"Matchboxscope","code_ver":"Apr 17 2023 @ 09:18:49","rotate":"0",'
        b'"stream_url":"http://192.168.137.69:81/","anglerfishSlider":"1"}'
    )
    with server(reply(tutorial)) as url, es.Camera(url) as cam:
        assert cam.info.firmware == "matchboxscope"
        assert cam.info.stream_url == "http://127.0.0.1:81/"
        assert cam.status()["lamp"] == 100
        assert cam.settings["framesize"].value == "VGA"


def test_a_name_with_terminal_escapes_is_cleaned() -> None:
    nasty = b'{"framesize":8,"quality":12,"cam_name":"\x1b[31m../../evil\\u0007","isStack":"0"}'
    with server(reply(nasty)) as url, es.Camera(url) as cam:
        assert cam.info.name.isprintable()


def test_a_page_instead_of_a_stream() -> None:
    with server(reply(b"<html></html>", headers=b"Content-Type: text/html\r\n")) as url:
        error = failure(url + "/some/page")
    assert isinstance(error, es.ConnectError)
    assert error.reason is es.ConnectReason.NOT_A_CAMERA


@pytest.mark.parametrize(
    "location",
    [
        b"http://127.0.0.1:99999/",
        b"http://127.0.0.1:abc/",
        b"http://[::1/",
        b"/a b",
        b"/x\x01y",
        b"\xe2\x82\xac",
        b"",
        b"http://127.0.0.2/",
        b"?",
        b"/again",
    ],
)
def test_a_redirect_that_leads_nowhere(location: bytes) -> None:
    with server(reply(b"", "302 Found", b"Location: " + location + b"\r\n")) as url:
        error = failure(url + "/cam")
    assert isinstance(error, es.ConnectError)
    assert error.reason is es.ConnectReason.NOT_A_CAMERA


def test_a_stream_without_http_head_is_named() -> None:
    def serve(connection: socket.socket, request: bytes) -> None:
        connection.sendall(
            b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: 4\r\n\r\n\xff\xd8\xff\xd9\r\n"
        )

    with server(serve) as url:
        assert isinstance(failure(url + "/stream"), es.RemoteProtocolError)


def test_no_route(netns: PrivateNetwork) -> None:
    # A bare network namespace has not even a loopback: connecting gives ENETUNREACH.
    done = netns.python(
        "import espressoscope as es\n"
        "try:\n    es.Camera('10.9.8.7').open()\n"
        "except es.ConnectError as error:\n    print(error.reason.name, '|', error)\n"
    )
    assert done.stderr == ""
    assert done.stdout.startswith("UNREACHABLE | 10.9.8.7: ")
