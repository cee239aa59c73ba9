"""``espressoscope discover``: which cameras are there."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Self

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

import espressoscope as es
from espressoscope.cli.common import FAILED, CommandRun, JsonOption, VerboseOption, WrongUse, examples
from espressoscope.cli.output import Output, clean, plain_table

__all__ = ["SearchDisplay", "as_keys", "camera_table", "discover", "in_order", "say_why_none"]


@examples(
    "espressoscope discover",
    "espressoscope discover --network 192.168.1.0/24 --port 80 --port 8080-8090",
    "espressoscope discover --json | jq -r .url",
)
def discover(
    network: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="CIDR", help="Search this network, like 192.168.1.0/24. May be repeated."
        ),
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="N|A-B", help="Ask on this port, or these. May be repeated."),
    ] = None,
    mdns: Annotated[
        bool, typer.Option("--mdns", help="Listen to announcements too, besides the networks given.")
    ] = False,
    timeout: Annotated[
        float, typer.Option(metavar="S", min=0.05, max=60, help="Longest wait for one address, in seconds.")
    ] = 1.0,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """Find cameras on the network.

    Without --network and --port it looks where cameras usually are: on the networks this computer is in, at a
    camera's own access point (192.168.4.1), and on this computer, where simulated ones are. With them it
    looks there and nowhere else.

    JSON keys: name url stream_url mac firmware found_by. Exit code 1 when none was found.
    """
    with CommandRun(as_json, verbose) as run:
        found = 0
        with SearchDisplay(run.out) as display:
            try:
                search = es.discover(
                    network or None, port or None, True if mdns else None, timeout, progress=display.tell
                )
            except es.DiscoveryError as error:  # nothing has been sent: what was typed cannot be searched
                raise WrongUse(error.message, error.hint) from error
            for info in display.follow(search):
                found += 1
                run.out.json(**as_keys(info))
        if not found:
            run.code = FAILED
            say_why_none(run.out, network, narrowed=bool(network or port))


def as_keys(info: es.CameraInfo, *, found_by: bool = True) -> dict[str, Any]:
    """Give a camera as ``--json`` shows it."""
    info = info.shown
    names = ("name", "url", "stream_url", "mac", "firmware", *(("found_by",) if found_by else ()))
    return {name: getattr(info, name) for name in names}


def camera_table(infos: Iterable[es.CameraInfo], *, found_by: bool = True) -> Any:
    """Show cameras as a table; boards of one name with what tells them apart."""
    infos = [info.shown for info in infos]
    counts = Counter(info.name for info in infos)
    table = plain_table("NAME", "FIRMWARE", "ADDRESS", "STREAM", *(("FOUND BY",) if found_by else ()))
    for info in infos:
        name = info.name if counts[info.name] == 1 else info.label
        cells = [name, info.firmware, info.url, _port_and_path(info)]
        table.add_row(*map(clean, cells), *((clean(info.found_by),) if found_by else ()))
    return table


def in_order(infos: Iterable[es.CameraInfo]) -> list[es.CameraInfo]:
    """Sort cameras by address, numbers as numbers."""
    return sorted(infos, key=lambda info: [int(n) for n in re.findall(r"\d{1,9}", info.url)])


def _port_and_path(info: es.CameraInfo) -> str:
    """Shorten the stream's address where it has the camera's host: eighty columns are soon full."""
    if info.stream_url is None:
        return "none"
    host = re.sub(r":\d+$", "", info.url.rstrip("/"))
    rest = info.stream_url.removeprefix(host)
    return rest if rest != info.stream_url and rest[:1] in (":", "/") else info.stream_url


class SearchDisplay:
    """The search on a terminal: what was found, and how far it is."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._found: list[es.CameraInfo] = []
        self._progress = Text("Looking ...", "dim")
        self._live = Live(console=out.console, auto_refresh=False, transient=True) if out.live else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
            self._draw()
        return self

    def __exit__(self, *error: Any) -> None:
        if self._live is not None:
            self._live.__exit__(*error)
            if self._found:
                self._out.table(camera_table(in_order(self._found)))

    def tell(self, progress: Any) -> None:
        """Show how far the search is."""
        share = f"{progress.asked} of {progress.total}" if progress.total else ""
        found = "one camera" if progress.found == 1 else f"{progress.found} cameras"
        self._progress = Text(f"Looking ... {share} addresses asked, {found} found", "dim")
        self._draw()

    def follow(self, search: Iterable[es.CameraInfo]) -> Iterator[es.CameraInfo]:
        """Show cameras as they are found, and pass them on."""
        for info in search:
            self._add(info)
            yield info

    def _add(self, info: es.CameraInfo) -> None:
        self._found.append(info)
        if self._live is None:
            url = clean(info.shown.url)
            cells = (f"{clean(info.label):<24}", f"{clean(info.firmware):<15}", f"{url:<28}")
            self._out.say("  ".join([*cells, clean(info.found_by)]))
        self._draw()

    def _draw(self) -> None:
        if self._live is not None:
            # The newest last; all of them follow in the end.
            parts = [camera_table(self._found[-self._out.room :])] if self._found else []
            self._live.update(Group(*parts, self._progress), refresh=True)


def say_why_none(out: Output, networks: list[str] | None = None, *, narrowed: bool) -> None:
    """Say that nothing was found, what this computer's networks tell about that, and what to try."""
    out.error("no camera was found")
    with es.diagnose(networks=networks or None, search=False) as findings:
        tips = [f"{finding.words} {finding.advice}" for finding in findings]
    tips += [
        "Is the camera powered, and has it had ten seconds to start?",
        "Is this computer in the same network? Many phones' hotspots and guest networks keep devices apart",
        "A camera that knows no network makes its own: join the WiFi Matchboxscope-..., then look again "
        "(it is 192.168.4.1)",
        "A new board needs firmware first: https://matchboxscope.github.io flashes it from the browser",
        "You know its address? espressoscope doctor ADDRESS says what is wrong there",
    ]
    if narrowed:
        tips.insert(0, "Only the networks and ports given were searched: leave --network and --port out")
    out.tips(tips)
