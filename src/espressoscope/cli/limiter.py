"""``--fps-limit`` for a whole fleet: set at the start, and on cameras that come later when they do."""

import logging
import threading

import espressoscope as es

__all__ = ["Limiter"]

_log = logging.getLogger(__name__)

_LOOK_S = 0.5
_JOIN_S = 2.0


class Limiter:
    """Sets ``fps_limit`` on every camera of a fleet, in a thread: one that is not there holds nobody up.

    Parameters
    ----------
    fleet : Fleet
        Open.
    limit : float
        Frames a second, 0 for no limit.

    Attributes
    ----------
    refused : dict of str to str
        By name, why a camera did not take it; grows while cameras come.
    """

    def __init__(self, fleet: "es.Fleet", limit: float) -> None:
        self.refused: dict[str, str] = {}
        self._fleet = fleet
        self._limit = limit
        self._first = threading.Event()
        self._over = threading.Event()
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="espressoscope-fps-limit", daemon=True)

    def start(self, timeout_s: float) -> None:
        """Begin, and wait until the cameras that answer have been asked, in slices for Ctrl-C.

        Raises
        ------
        SettingError
            None of the cameras can take such a limit.
        """
        self._thread.start()
        slice_s = 0.1
        for _ in range(int(timeout_s / slice_s)):
            if self._first.wait(slice_s):
                break
        if self._trouble is not None:
            raise self._trouble

    def stop(self) -> None:
        """End it; the fleet must have been closed, which ends what it waits for."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _work(self) -> None:
        try:
            waiting = self._note(self._fleet.set(fps_limit=self._limit))
            self._first.set()
            while waiting and not self._over.wait(_LOOK_S):
                came = [name for name in waiting if self._fleet[name].stats.state is es.LinkState.LIVE]
                waiting = [name for name in waiting if name not in came]
                for name in came:
                    waiting += self._note({name: self._set_on(name)})
        except Exception as error:  # noqa: BLE001 (a thread's boundary; raised by `start`, or the fleet is closed)
            self._trouble = error
            _log.debug("setting the fps limit ended", exc_info=error)
        finally:
            self._first.set()

    def _set_on(self, name: str) -> dict[str, es.SetResult] | es.CameraError:
        try:
            return self._fleet[name].set(strict=False, fps_limit=self._limit)
        except es.CameraError as error:
            return error

    def _note(self, report: dict[str, dict[str, es.SetResult] | es.CameraError]) -> list[str]:
        """Note who refused, and give those that were not there."""
        absent = []
        for name, result in report.items():
            if isinstance(result, es.SettingError | es.UnsupportedError):
                self.refused[name] = result.message
            elif isinstance(result, es.CameraError):
                absent.append(name)
            elif not result["fps_limit"].ok:
                self.refused[name] = result["fps_limit"].message or "it did not take"
        return absent
