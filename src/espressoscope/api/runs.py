"""Recordings read back, and brought in order; loads numpy only when called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from espressoscope.api.run_facts import software

if TYPE_CHECKING:
    import os

    from espressoscope.recording.reader import Run
    from espressoscope.recording.repair import Repaired

__all__ = ["open_run", "repair_run"]


def open_run(path: str | os.PathLike[str]) -> Run:
    """Open a recording for reading: a mapping of camera name to its frames, each read when asked for.

    Also one that is being recorded, was killed, or copied in part.

    Parameters
    ----------
    path : str or path
        The folder that was recorded to, or that of one camera in it.

    Returns
    -------
    Run
        `Run.refresh` looks for what has been recorded since.

    Raises
    ------
    RecordingError
        There is no recording.

    Examples
    --------
    >>> import espressoscope as es
    >>> run = es.open_run("run-01")  # doctest: +SKIP
    >>> run["A1"][0], run["A1"].times, run["A1"].frames  # doctest: +SKIP
    """
    from espressoscope.recording.reader import open_run

    return open_run(path)


def repair_run(path: str | os.PathLike[str]) -> list[Repaired]:
    """Bring a recording in order that was killed or lost its power; nothing is ever deleted.

    Parameters
    ----------
    path : str or path
        The folder that was recorded to.

    Returns
    -------
    list of Repaired
        What was done for each camera.

    Raises
    ------
    RecordingError
        There is no recording, it is being recorded, or it cannot be written.
    """
    from espressoscope.recording.repair import repair_run

    return repair_run(path, software())
