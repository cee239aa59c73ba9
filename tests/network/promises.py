"""What is promised of each bad network; bounds wide enough for a machine with ten times its work."""

from __future__ import annotations

from typing import Any, NamedTuple

MOST_MB = 150  # of memory, of the program that reads: 8 cameras included
LEAST_EQUAL = 0.2  # of the share of the best of a crowd, for each of the others
ROOM = 0.8  # of the frames: a crowd of which every camera gets more is none


class Promise(NamedTuple):
    """What must hold.

    Attributes
    ----------
    title : str
        For the page: what is wrong with this network.
    seconds : float
        How long it is looked at, in the long form.
    share : float
        Least share of the frames that a good line brings, of each camera.
    back_s : float
        Seconds after the trouble has ended, at most, until the next whole frame.
    age_s : float or None
        Most age of half the frames on arrival.
    states : set of str
        Among those it must have been in meanwhile.
    words : str
        In what it must have said meanwhile.
    """

    title: str
    seconds: float
    share: float
    back_s: float
    age_s: float | None = None
    states: frozenset[str] = frozenset()
    words: str = ""


AWAY = frozenset({"backing off", "connecting"})

PROMISES = {
    "clean": Promise("nothing", 10, 0.4, 3, 0.5),
    "loss1": Promise("1 % of packets lost", 15, 0.3, 6, 1.0),
    "loss5": Promise("5 % lost", 20, 0.1, 12, 2.0),
    "loss10": Promise("10 % lost", 20, 0.02, 15, 3.0),
    "loss30": Promise("30 % lost", 40, 0.0, 25),
    "far": Promise("20 to 60 ms on the way", 15, 0.1, 5, 3.0),
    "radio": Promise("bad radio: 5 to 65 ms, 2 % lost, every 2 s nothing for up to 0.8 s", 20, 0.03, 8, 3.0),
    "reorder": Promise("5 % of packets 30 ms late, overtaken by others", 15, 0.3, 3, 1.0),
    "crowd": Promise("8 cameras share 3 Mbit/s", 20, 0.03, 5, 3.0),
    "down": Promise("nothing at all for 30 s", 30, 0.0, 8, None, AWAY, "not a byte"),
    "grabbed": Promise(
        "nothing for 10 s, then another viewer has the stream", 5, 0.0, 10, None, frozenset({"busy"})
    ),
    "stolen": Promise(
        "another viewer takes the stream (Tasmota)",
        2,
        0.0,
        30,
        None,
        frozenset({"backing off"}),
        "took its stream",
    ),
    "moved": Promise("a new address (Matchboxscope)", 2, 0.0, 60, None, AWAY),
    "moved-cws": Promise("a new address (CameraWebServer, which tells no MAC)", 2, 0.0, 60, None, AWAY),
    "duplicate": Promise(
        "another board has the same address for 12 s", 12, 0.0, 90, None, AWAY, "another camera answers there"
    ),
    "duplicate-cws": Promise(
        "the same, CameraWebServer", 12, 0.0, 90, None, AWAY, "another camera answers there"
    ),
}


def broken(report: dict[str, Any], slack: float = 1.0) -> list[str]:
    """Say what of the promises did not hold; an empty list when all did.

    Parameters
    ----------
    slack : float
        By so much may what depends on the speed of the machine fall short: frames, their age, the time until
        it is live again. What is told must be true on any.
    """
    promise = PROMISES[report["name"]]
    wrong: list[str] = []
    cameras = report["cameras"]
    best = max(camera["share"] for camera in cameras)
    for camera in cameras:
        who = f"camera {camera['camera']}"
        wrong += [f"{who}: {words}" for words in camera["false"][:5]]
        if camera["share"] < max(promise.share, best * LEAST_EQUAL) / slack:
            wrong.append(
                f"{who}: {camera['share']:.0%} of the frames came, {promise.share:.0%} were promised"
            )
        if promise.age_s is not None and (
            camera["age_p50_s"] is None or camera["age_p50_s"] > promise.age_s * slack
        ):
            wrong.append(f"{who}: half the frames were older than {camera['age_p50_s']} s")
        if camera["damaged"] < camera["broken"]:
            wrong.append(f"{who}: {camera['broken']} frames were cut off, {camera['damaged']} counted")
        if not promise.states <= set(camera["states"]):
            wrong.append(f"{who}: was in {camera['states']}, not in {sorted(promise.states)}")
        if promise.words and not any(promise.words in words for words in camera["words"]):
            wrong.append(f"{who}: never said {promise.words!r}: {camera['words']}")
        if promise.states and not camera["reconnects"]:
            wrong.append(f"{who}: lost its stream, and counted no reconnect")
    if report["recovered_s"] is None or report["recovered_s"] > promise.back_s * slack:
        wrong.append(f"back after {report['recovered_s']} s, {promise.back_s:g} s were promised")
    wrong += _struck(report)
    asked = report.get("requests")
    if asked is not None and promise.share and not asked["answered"]:
        wrong.append(f"no request beside the stream was answered: {asked['why']}")
    if report["peak_mb"] > MOST_MB:
        wrong.append(f"{report['peak_mb']:.0f} MB of memory")
    if "url" in report and not report["url"].endswith("10.77.0.21"):
        wrong.append(f"it is at {report['url']}")
    return wrong


def _struck(report: dict[str, Any]) -> list[str]:
    """Say where the radio did nothing: what holds in a network that is not bad holds of itself."""
    radio, name = report.get("radio"), report["name"]
    if radio is None:
        return []
    if not radio["carried"]:
        return ["the radio carried nothing"]
    if (name.startswith("loss") or name == "radio") and not radio["lost"]:
        return [f"nothing was lost: {radio}"]
    if name == "crowd" and min(camera["share"] for camera in report["cameras"]) > ROOM:
        return [f"there was room for all: {radio}"]
    return []
