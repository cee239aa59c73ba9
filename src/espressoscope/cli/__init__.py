"""The command line: thin. It parses, calls the public names, and says what came of it.

Modules: `common` (options, errors to exit codes), `output` (JSON lines and text), `early` and `ending`
(Ctrl-C), `naming` and `files` (pictures on disk), one module per command or two. Imports the public names and
`espressoscope.sim` only, and next to nothing before Ctrl-C is sure to be heeded.
"""

from __future__ import annotations

import os
import sys

from espressoscope.cli.early import be_ready_to_end

TYPE_CHECKING = False  # typing itself takes a while
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; else this process's own.
    """
    be_ready_to_end()
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:  # closed by who started this, or Windows has given none
            setattr(sys, name, _nowhere(number))
    for stream in (sys.stdout, sys.stderr):
        # A name the terminal's encoding cannot show costs a question mark, not the command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        from espressoscope.cli.app import app
        from espressoscope.cli.common import WRONG_USE, end_without_output
        from espressoscope.cli.ending import Ending
        from espressoscope.cli.output import Output
    except KeyboardInterrupt:  # half a second of a slow computer, and nothing has been begun
        os._exit(130)
    try:
        # Not standalone: it would print usage errors in its own manner and turn Ctrl-C into "Aborted".
        code = app(args=arguments, prog_name="espressoscope", standalone_mode=False)
    except KeyboardInterrupt:  # outside the commands' own handling of it, mostly while one is imported
        Ending.interrupted = True
        leave(130)
    except OSError as error:  # --help and --version, written before any command begins
        sys.exit(end_without_output(Output(as_json=True), error))
    except Exception as error:  # Typer has errors of its own, which it does not export: told by what they can
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "espressoscope"
        said = error.format_message().replace("Value error, ", "").partition(" Did you mean ")[0]
        Output(as_json=True).error(said, f"{_meant(said, context)}{command} --help tells how it is used")
        sys.exit(WRONG_USE)
    leave(code if isinstance(code, int) else 0)


def _meant(said: str, context: Any) -> str:
    """Ask about the command that was perhaps meant."""
    import difflib
    import re

    wrong = re.match(r"No such command '([^']{1,40})'", said)
    if wrong is None or not hasattr(context.command, "list_commands"):
        return ""
    near = difflib.get_close_matches(wrong[1].lower(), context.command.list_commands(context), 1)
    return f"Did you mean {near[0]}? " if near else ""


def _nowhere(number: int) -> TextIO:
    """Open what takes every word, under this number if it is free: or else the next socket has it."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(descriptor, number)
        os.close(descriptor)
        descriptor = number
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def leave(code: int) -> NoReturn:
    """End the process with this exit code, also after a Ctrl-C that has been dealt with.

    CPython remembers a KeyboardInterrupt that passed through ``exec`` of a string, as the import of
    dataclasses does, and at its end may kill itself with SIGINT whatever became of it
    (``run_eval_code_obj`` in Python/pythonrun.c). So after one the interpreter's own end is left out.
    """
    import contextlib

    from espressoscope.cli.ending import Ending

    Ending.finish_all()
    if Ending.interrupted:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)
