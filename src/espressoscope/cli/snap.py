"""``espressoscope snap``: one fresh picture from each camera."""

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NamedTuple, Self

import typer

import espressoscope as es
from espressoscope.cli.common import CommandRun, JsonOption, VerboseOption, WrongUse, camera_at, examples
from espressoscope.cli.files import FileTrouble, keep_picture, put_picture
from espressoscope.cli.naming import file_stem, unique_labels
from espressoscope.cli.output import clean
from espressoscope.cli.pictures import describe, frame_keys, frame_stem, output_folder

__all__ = ["snap"]

_TICK_S = 0.2


class _News(NamedTuple):
    """What one camera's thread tells: it is open, its frame, or an error."""

    place: int
    frame: es.Frame | None = None
    error: Exception | None = None


@examples(
    "espressoscope snap 192.168.4.1",
    "espressoscope snap 192.168.4.1 -o leaf.jpg --framesize UXGA",
    "espressoscope snap 192.168.1.20 192.168.1.21 -o pictures/",
)
def snap(
    cameras: Annotated[
        list[str], typer.Argument(metavar="CAMERA...", help="Name, host, host:port or URL; one or more.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE|DIR",
            help="File (with a suffix, like .jpg) or folder for the pictures.",
        ),
    ] = ".",
    framesize: Annotated[
        str | None,
        typer.Option(metavar="F", help="Size for this picture only, for example UXGA; restored afterwards."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Let -o FILE replace a file that exists.")] = False,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Take one fresh picture from each camera, all at the same time.

    Pictures are stored as the camera sent them, named after camera and time; a file that exists is never
    replaced (with -o FILE only by --force). One camera that fails does not keep the others from theirs.

    JSON keys: camera path received_at received_ns bytes width height sha256 status. Exit code 1 when a
    camera failed.
    """
    with CommandRun(as_json, verbose) as run:
        wanted = list(dict.fromkeys(cameras))
        opened = [camera_at(camera) for camera in wanted]  # nothing happens on the network yet
        file = _file_of(output, len(wanted), force)
        folder = Path(output) if file is None else None
        if folder is not None:
            output_folder(folder)
        with _Crew(opened, framesize) as crew:
            infos = crew.open(run)
            shown = [info.shown for info in infos.values()]
            labels = unique_labels([(i.name, i.mac, i.url.removeprefix("http://")) for i in shown])
            names = dict(zip(infos, labels, strict=True))
            for index, frame in crew.take(run):
                try:
                    _store(run, frame, names[index], folder, file, force)
                except FileTrouble as error:  # where one does not fit, another may
                    run.fail(error)


def _file_of(output: str, count: int, force: bool) -> Path | None:
    """Tell a file from a folder; None for a folder."""
    path = Path(output)
    if path.is_dir() or output.endswith(("/", "\\")) or (not path.suffix and not path.exists()):
        return None
    if count > 1:
        raise WrongUse(f"{output} is one file, for {count} cameras", "Give a folder to -o")
    if path.is_file() and not force:
        raise WrongUse(
            f"{output} exists already", "Choose another name, give a folder, or add --force to replace it"
        )
    if not path.parent.is_dir():
        raise WrongUse(f"there is no folder {path.parent}", "Make it first, or choose another with -o")
    return path


class _Crew:
    """A thread for each camera: all open first, then all take their picture at the same moment.

    A context manager; leaving it, also by Ctrl-C, ends what still waits.
    """

    def __init__(self, cameras: "list[es.Camera]", framesize: str | None) -> None:
        self._cameras = cameras
        self._framesize = framesize
        self._news: queue.SimpleQueue[_News] = queue.SimpleQueue()
        self._go = threading.Event()
        self._abandoned = False
        self._threads = [
            threading.Thread(target=self._work, args=(index,), daemon=True) for index in range(len(cameras))
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._abandoned = True
        self._go.set()
        for camera in self._cameras:
            camera.close()
        for thread in self._threads:
            thread.join(2)

    def open(self, run: CommandRun) -> dict[int, es.CameraInfo]:
        """Wait until each camera is open or has failed; report those that have."""
        infos = {}
        for news in self._wait(len(self._cameras)):
            if news.error is None:
                infos[news.place] = self._cameras[news.place].info
            else:
                run.fail(news.error)
        self._left = len(infos)
        return infos

    def take(self, run: CommandRun) -> Iterator[tuple[int, es.Frame]]:
        """Take the pictures; give each as it comes, report those that do not."""
        self._go.set()
        for news in self._wait(self._left):
            if news.frame is not None:
                yield news.place, news.frame
            elif news.error is not None:
                run.fail(news.error)

    def _wait(self, count: int) -> Iterator[_News]:
        while count:
            try:
                news = self._news.get(timeout=_TICK_S)
            except queue.Empty:  # a slice: Ctrl-C is seen in between
                continue
            count -= 1
            yield news

    def _work(self, index: int) -> None:
        try:
            with self._cameras[index] as camera:
                self._news.put(_News(index))
                self._go.wait()
                if not self._abandoned:
                    self._news.put(_News(index, camera.snap(self._framesize)))
        except Exception as error:  # noqa: BLE001 (a thread's boundary; the main one reports it)
            self._news.put(_News(index, error=error))


def _store(
    run: CommandRun, frame: es.Frame, label: str, folder: Path | None, file: Path | None, force: bool
) -> None:
    if folder is not None:
        path = keep_picture(folder, frame_stem(file_stem(label), frame, numbered=False), frame.jpeg)
    else:
        assert file is not None
        path = file
        if not put_picture(file, frame.jpeg, replace=force):
            raise WrongUse(f"{file} has come to exist meanwhile", "Choose another name, or add --force")
    run.out.json(camera=label, path=str(path), **frame_keys(frame))
    run.out.say(f"{clean(label)}: {clean(path)} ({describe(frame)})")
