"""Runs one row in this process: ``python -m benchmarks.row`` takes a `Job` as JSON on stdin, prints a result.

The result is the last line, JSON: the row's figures, or ``{"missing": why}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.job import Job, NotHereError

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> None:
    """Run the row asked for."""
    job = Job(**json.loads(sys.stdin.readline()))
    job.prepare()
    result: dict[str, Any]
    try:
        result = _function(job.row)(job)
    except NotHereError as reason:
        result = {"missing": str(reason)}
    except ModuleNotFoundError as error:
        if (error.name or "").startswith(("espressoscope", "benchmarks")):
            raise
        result = {"missing": f"{error.name} is not installed"}
    print(json.dumps(result), flush=True)
    os._exit(0)  # threads of the peers do not end by themselves


def _function(name: str) -> Callable[[Job], dict[str, Any]]:
    from benchmarks.receivers import floor, peers

    for rows in (floor.ROWS, peers.ROWS):
        if name in rows:
            return rows[name]
    from benchmarks.receivers import ours  # imported last: it must not weigh on the others

    return ours.ROWS[name]


if __name__ == "__main__":
    main()
