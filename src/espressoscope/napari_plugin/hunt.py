"""A search for cameras as a session has it: one at a time, told on the thread that draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espressoscope.napari_plugin.search import Search

if TYPE_CHECKING:
    from collections.abc import Callable

    from espressoscope.napari_plugin.calls import Calls
    from espressoscope.napari_plugin.mailbox import Mailbox

__all__ = ["Hunt"]


class Hunt:
    """The search of a session; its methods never block.

    Parameters
    ----------
    calls : Calls
        Has the search run.
    mailbox : Mailbox
        Brings what it finds to the thread that draws.
    found, progress, ended : callable
        Told of each camera, of how far it is, and why nothing was found.
    """

    def __init__(
        self,
        calls: Calls,
        mailbox: Mailbox,
        found: Callable[[Any], object],
        progress: Callable[[Any], object],
        ended: Callable[[list[str]], object],
    ) -> None:
        self._calls = calls
        self._mailbox = mailbox
        self._found = found
        self._progress = progress
        self._ended = ended
        self._search: Search | None = None
        self._leaving: list[Search] = []

    @property
    def under_way(self) -> bool:
        """Whether a search is under way."""
        return self._search is not None

    def begin(self, networks: str | None) -> None:
        """Search; does nothing while a search is under way."""
        if self._search is not None:
            return
        search = self._search = Search(networks or None)

        def tell(whom: Callable[[Any], object], what: object) -> None:
            self._mailbox.post(lambda: whom(what) if self._search is search else None)

        def done(why_none: list[str]) -> None:
            if self._search is search:
                self._search = None
                self._ended(why_none)

        def failed(error: Exception) -> None:
            if self._search is search:  # of one that was cancelled nobody wants to know
                done([])
                self._calls.fail(error)

        if not self._calls.run(
            lambda: search.run(
                lambda info: tell(self._found, info), lambda progress: tell(self._progress, progress)
            ),
            done,
            failed,
            quiet=True,
        ):
            done([])

    def cancel(self) -> None:
        """End it; what has been found stays found."""
        search, self._search = self._search, None
        if search is not None:
            # Its end waits for the thread that searches. A call that waits is dropped with the session.
            if self._calls.run(search.cancel, lambda _: self._leaving.remove(search), quiet=True):
                self._leaving.append(search)
            else:
                search.cancel()
            self._ended([])

    def close(self) -> None:
        """End it without a word; waits a moment for the thread that searches."""
        search, self._search = self._search, None
        for each in (*self._leaving, *([search] if search is not None else [])):
            each.cancel()  # twice does nothing
