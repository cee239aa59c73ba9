"""What every command shares: its options, its errors turned into words and exit codes, its end.

Exit codes: 0 done, 1 a camera or the network failed, 2 wrong use; 130 or 143 when a command that ends by
itself was interrupted.
"""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

import typer

import espressoscope as es
from espressoscope.cli.ending import Ending
from espressoscope.cli.files import FileTrouble
from espressoscope.cli.output import Output, OutputTrouble, ReaderGone, clean

__all__ = [
    "DONE",
    "FAILED",
    "WRONG_USE",
    "CameraArgument",
    "CommandRun",
    "FpsLimitOption",
    "JsonOption",
    "VerboseOption",
    "WrongUse",
    "camera_at",
    "end_without_output",
    "examples",
    "fleet_of",
]

DONE, FAILED, WRONG_USE = 0, 1, 2

JsonOption = Annotated[
    bool, typer.Option("--json", help="One JSON object a line on stdout; text for people goes to stderr.")
]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Tell on stderr what happens on the network.")
]
CameraArgument = Annotated[
    str,
    typer.Argument(
        metavar="CAMERA", help="Name, host, host:port or URL (http://user:password@host is understood)."
    ),
]


def _fps_limit(value: float | None) -> float | None:
    if value is None or value == 0 or _LOWEST_FPS <= value <= _HIGHEST_FPS:
        return value
    text = f"it is 0 (no limit) or {_LOWEST_FPS:g} to {_HIGHEST_FPS:g} frames a second, not {value:g}"
    if 0 < value < _LOWEST_FPS:
        text += "; slower frames end a Matchboxscope's stream for good: snap takes single pictures"
    raise typer.BadParameter(text)


_LOWEST_FPS, _HIGHEST_FPS = 0.5, 60.0
"""What `Camera.set` takes as ``fps_limit``; told before anything happens on the network."""

FpsLimitOption = Annotated[
    float | None,
    typer.Option(
        "--fps-limit",
        metavar="F",
        callback=_fps_limit,
        help="Let cameras send at most so many frames a second, to spare a crowded radio.",
    ),
]

_F = TypeVar("_F", bound=Callable[..., Any])

_log = logging.getLogger("espressoscope.cli")


class WrongUse(Exception):
    """What was typed cannot be done; ends the command with exit code 2.

    Parameters
    ----------
    message : str
        What is wrong.
    hint : str, optional
        What to type instead.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def examples(*commands: str) -> Callable[[_F], _F]:
    """Show commands at the end of a command's help, each on its own line."""

    def add(function: _F) -> _F:
        # \b keeps the help's line breaks.
        function.__doc__ = "\n\n    ".join([(function.__doc__ or "").rstrip(), "\b\n    Examples:"])
        function.__doc__ += "".join(f"\n      {command}" for command in commands)
        return function

    return add


def camera_at(address: str) -> "es.Camera":
    """Make a camera of what was typed; nothing happens on the network.

    Raises
    ------
    WrongUse
        It is no address.
    """
    with _no_address():
        return es.Camera(address)


def fleet_of(addresses: Iterable[str]) -> "es.Fleet":
    """Make a fleet of what was typed; nothing happens on the network.

    Raises
    ------
    WrongUse
        One of them is no address.
    """
    with _no_address():
        return es.Fleet(list(addresses))


@contextlib.contextmanager
def _no_address() -> Iterator[None]:
    try:
        yield
    except es.CameraError as error:
        raise WrongUse(
            f"{error.camera}: {error.message}" if error.camera else error.message, error.hint
        ) from error


class CommandRun:
    """One command from its first word to its exit code, as a context manager.

    Errors become one message on stderr and an exit code; a traceback never leaves. Leaves by `typer.Exit`
    unless all went well.

    Parameters
    ----------
    as_json, verbose : bool
        The options every command has.
    until_stopped : bool
        Ctrl-C is this command's ordinary end, with exit code 0.

    Attributes
    ----------
    out : Output
    ending : Ending
    code : int
        Exit code in the end; raise it with `fail`.
    """

    def __init__(self, as_json: bool, verbose: bool, *, until_stopped: bool = False) -> None:
        self.out = Output(as_json, verbose)
        self.ending = Ending()
        self.code = DONE
        self._verbose = verbose
        self._until_stopped = until_stopped

    def fail(self, error: BaseException) -> None:
        """Report an error and remember its exit code; the command goes on."""
        self.code = max(self.code, report(self.out, error))

    def __enter__(self) -> Self:
        if self._verbose:
            _log_to_stderr()
        self.ending.begin()
        self.ending.armed = True  # nothing between this and the block may call anything: a signal is raised
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.finish()
        try:
            if error is not None:
                self._end_by(error)
            sys.stdout.flush()
        except ReaderGone:
            end_without_output(self.out, BrokenPipeError())
        except OSError as trouble:
            self.code = max(self.code, end_without_output(self.out, trouble))
        if self.code != DONE or error is not None:
            raise typer.Exit(self.code)

    def _end_by(self, error: BaseException) -> None:
        if isinstance(error, typer.Exit):
            self.code = max(self.code, error.exit_code)
        elif isinstance(error, KeyboardInterrupt):
            if not self._until_stopped:
                self.code = 128 + (self.ending.signal or signal.SIGINT)
                self.out.warn("Stopped.")
        elif isinstance(error, ReaderGone | BrokenPipeError):
            raise error
        elif isinstance(error, OutputTrouble):
            raise error.error
        elif isinstance(error, Exception):
            self.fail(error)
        else:
            raise error


def report(out: Output, error: BaseException) -> int:
    """Say what happened and what to try; give the exit code that belongs to it."""
    if isinstance(error, es.CameraError):
        where = f"{error.camera}: " if error.camera else ""
        out.error(where + error.message, error.hint)
        wrong = isinstance(error, es.SettingError) and not error.results  # checked before it was sent
        return WRONG_USE if wrong else FAILED
    if isinstance(error, WrongUse):
        out.error(str(error), error.hint)
        return WRONG_USE
    if isinstance(error, FileTrouble):
        out.error(str(error), error.hint)
        return FAILED
    if isinstance(error, MemoryError):
        out.error("this machine has no memory left", "Close other programs, or use fewer cameras at once")
        return FAILED
    # Neither is expected: the way there is of use, to those who ask with --verbose.
    _log.debug("the error below came from here", exc_info=error)
    if isinstance(error, OSError):
        out.error(f"the system refuses: {error.strerror or error}", "Run it again with --verbose for details")
        return FAILED
    out.error(
        f"this is a mistake in Espressoscope, not yours ({type(error).__name__}: {clean(error, 200)})",
        "Please report it, with what the same command prints with --verbose",
    )
    return FAILED


def end_without_output(out: Output, trouble: OSError) -> int:
    """Give standard output up and give the exit code: a reader that has had enough is no failure."""
    gone = isinstance(trouble, BrokenPipeError)
    if not gone:
        out.error(f"cannot write to standard output: {trouble.strerror}", "Is the disk it goes to full?")
    # What is still buffered must not fail once more at exit.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return DONE if gone else FAILED


class _CleanFormatter(logging.Formatter):
    """Log lines hold what the network said; a traceback is ours and keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(clean(line) for line in super().format(record).splitlines())


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_CleanFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("espressoscope")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
