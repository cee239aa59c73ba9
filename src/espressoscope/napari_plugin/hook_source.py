"""A user's function, from a file or a module: loaded, loaded anew, and what is wrong in words. No Qt here.

What is loaded runs: it is code of the user's own, started by the user. It may take long, or hang, so this
belongs on a thread nobody waits for.
"""

from __future__ import annotations

import importlib
import inspect
import linecache
import pkgutil
import sys
import traceback
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType

__all__ = ["HookSourceError", "Wanted", "load", "where"]

_MOST_CHARS = 300
_read_here: set[str] = set()
"""Modules that were imported for their functions, and by nobody before."""


class HookSourceError(Exception):
    """A function that cannot be had; the text says why, and where in the user's file."""


class _Fresh(SourceFileLoader):
    """Reads the file each time: compiled copies are told apart by their second only, and litter a folder."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


class Wanted:
    """What somebody wrote for a function.

    Parameters
    ----------
    text : str
        ``path/to/file.py:function``, ``module:function``, or ``path/to/file.py`` where the file has one
        function.

    Attributes
    ----------
    place : str
        File or module.
    function : str
        Its name; "" for the only one there is.
    is_file : bool
        `place` is a file.

    Raises
    ------
    HookSourceError
        It is neither.
    """

    def __init__(self, text: str) -> None:
        text = text.strip().strip('"')
        if text.lower().endswith(".py"):
            place, function = text, ""
        else:
            place, _, function = text.rpartition(":")
        self.place, self.function = place.strip(), function.strip()
        self.is_file = self.place.lower().endswith(".py")
        if not self.place or not (self.function.isidentifier() or (self.is_file and not self.function)):
            raise HookSourceError("Write file.py:function or module:function")


def load(wanted: Wanted) -> Callable[..., Any]:
    """Load a function; a file, and a module that was imported here before, are read anew.

    Raises
    ------
    HookSourceError
        In words; for errors of the user's code with file and line.
    """
    try:
        module = _load_file(Path(wanted.place)) if wanted.is_file else _load_module(wanted)
        function = getattr(module, wanted.function or _only_function(module, wanted.place), None)
    except HookSourceError:
        raise
    except BaseException as error:  # sys.exit() of a script too
        raise HookSourceError(where(error, wanted.place)) from error
    if function is None:
        raise HookSourceError(f"{wanted.place} has no {wanted.function}; it has {_names(module) or 'none'}")
    if not callable(function):
        raise HookSourceError(f"{wanted.function} in {wanted.place} is no function")
    return function  # type: ignore[no-any-return]


def _load_file(path: Path) -> ModuleType:
    path = path.expanduser().absolute()
    if not path.is_file():
        raise HookSourceError(f"There is no file {path}")
    linecache.checkcache(str(path))
    name = f"espressoscope_hook_{path.stem}"
    spec = spec_from_loader(name, _Fresh(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses, for one, look their module up
    try:
        spec.loader.exec_module(module)
    except BaseException:
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
        raise
    return module


def _load_module(wanted: Wanted) -> ModuleType:
    importlib.invalidate_caches()
    known = sys.modules.get(wanted.place)
    if known is not None:  # what others have imported is theirs: numpy does not stand being read anew
        return importlib.reload(known) if wanted.place in _read_here else known
    _read_here.add(wanted.place)
    module = pkgutil.resolve_name(wanted.place)
    if not inspect.ismodule(module):
        raise HookSourceError(f"{wanted.place} is no module")
    return module


def _own_functions(module: ModuleType) -> list[str]:
    return [
        name
        for name, thing in vars(module).items()
        if inspect.isfunction(thing) and thing.__module__ == module.__name__ and not name.startswith("_")
    ]


def _names(module: ModuleType) -> str:
    return ", ".join(_own_functions(module)[:10])


def _only_function(module: ModuleType, place: str) -> str:
    names = _own_functions(module)
    if len(names) != 1:
        raise HookSourceError(f"{place} has {_names(module) or 'no function'}: write {place}:function")
    return names[0]


def where(error: BaseException, place: str) -> str:
    """Say an error in one line: file and line in the user's code, where it can be told, and what it was.

    Parameters
    ----------
    error : BaseException
        What was raised.
    place : str
        The user's file; the last line in it that was being executed is told, else the last line of all.
    """
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError) and error.lineno is not None:
        file, line, what = error.filename or place, error.lineno, f"{type(error).__name__}: {error.msg}"
    else:
        steps = traceback.extract_tb(error.__traceback__)
        mine = [step for step in steps if Path(step.filename).name == Path(place).name]
        theirs = [step for step in steps if Path(step.filename).parent != Path(__file__).parent]
        told = mine or theirs
        if not told or told[-1].filename.startswith("<"):
            return what[:_MOST_CHARS]
        file, line = told[-1].filename, told[-1].lineno or 0
    return f"{Path(file).name}, line {line}: {what}"[:_MOST_CHARS]
