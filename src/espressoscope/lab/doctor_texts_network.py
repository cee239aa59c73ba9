"""What the doctor can find before a camera is reached, in words, and what to try; texts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COMPUTER", "REACH", "SEARCH", "Text"]


class Text(NamedTuple):
    """A finding before its facts are put in, in braces where they go."""

    ok: bool | None
    words: str
    advice: str = ""


COMPUTER: Final[Mapping[str, Text]] = {
    "network": Text(True, "This computer is in {networks}."),
    "no-network": Text(
        False,
        "This computer is in no network.",
        "Switch its WiFi on and join the network of the camera, or plug the cable in.",
    ),
    "self-assigned": Text(
        None,
        "This computer has given itself the address {address} ({interface}): nobody in that network hands "
        "addresses out.",
        "Leave that network and join it again, or restart its router.",
    ),
    "access-point": Text(
        None,
        "This computer is in the network of a camera's own access point ({network}){internet}.",
        "That is as it should be for setting a camera up. Keep this computer from leaving for another WiFi "
        "by itself. To take the camera into your own network: `espressoscope wifi 192.168.4.1 --ssid NAME`.",
    ),
    "search-limited": Text(
        None,
        "The variable ESPRESSOSCOPE_NETWORKS has cameras looked for in {networks} only.",
        "Unset it to look in all the networks this computer is in.",
    ),
    "foreign-network": Text(
        None,
        "{network} is none of the networks this computer is in ({networks}): cameras there are reached "
        "through a router, or not at all.",
        "Join that network, or correct its number.",
    ),
    "way-astray": Text(
        None,
        "Packets to {host} leave by {source}, although {host} is in the network {network}.",
        "A VPN or another connection takes them: switch it off for a try.",
    ),
    "local-network-permission": Text(
        None,
        "macOS lets a program use the local network only when it has been allowed to, and does not say so.",
        "System Settings, Privacy & Security, Local Network: switch it on for the terminal (or for napari, "
        "or Python), then start that program anew.",
    ),
    "firewall": Text(
        False,
        "This computer does not let this program send to {host} ({why}).",
        "Allow Python in the firewall or security program of this computer.",
    ),
}

SEARCH: Final[Mapping[str, Text]] = {
    "cameras": Text(True, "{count} found: {names}."),
    "no-camera": Text(
        False,
        "No camera answers in {places}.",
        "Is it powered, and has it had ten seconds to start? A camera that knows no network makes its own: "
        "join the WiFi Matchboxscope-... and look again. A new board needs firmware first: "
        "https://matchboxscope.github.io flashes it from the browser.",
    ),
    "search-cut": Text(
        None,
        "The search was ended after {seconds} s, when {asked} of {total} addresses had been asked.",
        "`espressoscope discover` looks to the end; with --network it looks in one network only.",
    ),
    "search-failed": Text(
        False,
        "The search came to nothing: {what}.",
        "Join the network of the cameras, or plug the cable in, then run this again.",
    ),
    "network-silent": Text(
        False,
        "Nothing at all answers in {network}, not even a router.",
        "Leave that network and join it again. A VPN or a firewall on this computer may cut it off from its"
        " own network: switch it off for a try.",
    ),
    "one-neighbour": Text(
        False,
        "Only one device answers in {network}: {host}, probably its router.",
        "Guest networks, phones' hotspots and many university networks keep devices apart (client "
        "isolation): switch that off in the router, or use another network, or the camera's own access "
        "point.",
    ),
    "neighbours": Text(
        None,
        "{count} devices answer in {network}: this computer's way into it is open.",
        "So the camera is off, hangs, or is in another network. ESP32 boards join 2.4 GHz networks only.",
    ),
}

REACH: Final[Mapping[str, Text]] = {
    "name": Text(True, "The name {host} stands for {address}."),
    "unresolved": Text(
        False,
        "The name {host} has no address.",
        "Check the spelling, or use the number address; `espressoscope discover` lists the cameras it can "
        "see. Names that end in .local are not passed on in every network.",
    ),
    "not-at-access-point": Text(
        False,
        "{host} is the address of a camera's own access point, and this computer is not in its network.",
        "Join the WiFi Matchboxscope-..., then try again.",
    ),
    "no-way": Text(
        False,
        "There is no way from this computer to {host} ({why}).",
        "Join the network the camera is in, or correct the address.",
    ),
    "absent": Text(
        False,
        "{host} belongs to this computer's own network, and no device there has that address.",
        "Switch the camera on and give it ten seconds. It may have been given another address: "
        "`espressoscope discover` finds it there.",
    ),
    "deaf": Text(
        False,
        "A device has the address {host} ({mac}), but port {port} takes no connection.",
        "If it is the camera it hangs, or too many are waiting for it: switch it off and on. Another device"
        " may have been given its address, or a firewall stands between: `espressoscope discover` shows where"
        " cameras are.",
    ),
    "beyond": Text(
        False,
        "{host} does not answer, and it is in none of the networks this computer is in ({networks}).",
        "Join the network the camera is in, or correct the address.",
    ),
    "silent": Text(
        False,
        "{host} does not answer: no connection to port {port} within {seconds} s.",
        "Switch the camera off and on and give it ten seconds.",
    ),
    "refused": Text(
        False,
        "{host} is there, but nothing listens on port {port}.",
        "Has the camera finished starting? Its control is on port 80. Another device may have been given "
        "its address: `espressoscope discover` shows where cameras are.",
    ),
    "breaks-off": Text(
        False,
        "{host} takes the connection and closes it without an answer.",
        "It may be restarting: try again in ten seconds. If this stays so, switch it off and on.",
    ),
    "sockets-used-up": Text(
        False,
        "It takes connections on port {port} and answers none within {seconds} s, while its stream port "
        "{stream_port} answers: its seven connections are probably all taken, or it is busy.",
        "Close browser tabs and other programs that use this camera; switching it off and on frees them "
        "all. Autofocus keeps it busy for up to 20 s.",
    ),
    "hangs": Text(
        False,
        "It takes connections on the ports {port} and {stream_port} and answers on neither: it hangs, or "
        "its connections are all taken.",
        "Switch it off and on. If that helps for a while only: close browser tabs and other programs that "
        "use this camera.",
    ),
    "mute": Text(
        False,
        "{host} takes connections on port {port} and says nothing for {seconds} s.",
        "Is that a camera? If it is, it hangs or its connections are all taken: switch it off and on.",
    ),
    "held-here": Text(
        None,
        "Programs on this computer hold {connections} to its port {port}.",
        "Look for the other program here first: a browser tab, a notebook that still runs, napari.",
    ),
    "answers-late": Text(
        None,
        "Its first answer took {seconds} s.",
        "It was busy, or its radio was asleep. Autofocus takes up to 20 s, and nothing else is answered "
        "meanwhile.",
    ),
    "wants-password": Text(
        False,
        "{host} wants a user name and a password, or refused those given.",
        "Write them into the address: http://USER:PASSWORD@HOST.",
    ),
    "no-http": Text(
        False,
        "What answers at {host} does not speak HTTP.",
        "Check the address and the port: `espressoscope discover` lists the cameras it can see.",
    ),
    "not-a-camera": Text(
        False,
        "Something answers at {host}, but not as a camera ({what}).",
        "Check the address: `espressoscope discover` lists the cameras it can see. For a bare MJPEG stream "
        "give its whole URL.",
    ),
    "no-sensor": Text(
        False,
        "It is a camera, but one without settings: its sensor has not started.",
        "Switch it off, press the ribbon cable of the sensor home, switch it on. While its firmware is "
        "being updated: wait.",
    ),
    "status-unreadable": Text(
        False,
        "It is a camera, but its /status cannot be read (it begins with {start}).",
        "It cannot be set, and is not found by a search. Its stream may work all the same, by its URL "
        "{stream}. Put a current firmware on it: https://matchboxscope.github.io.",
    ),
    "status-sloppy": Text(
        None,
        "Its /status is no valid JSON; it was understood as far as it goes.",
        "Nothing has to be done here. Other programs may stumble over it; a current firmware does better.",
    ),
    "camera": Text(True, "{name} answers at {host}: {firmware}{mac}."),
    "other-camera": Text(
        False,
        "Another camera answers there: {mac}, and not the one meant, {wanted}.",
        "Its address has been given to another one. Switch it on and give it ten seconds: "
        "`espressoscope discover` shows where it is then.",
    ),
    "moved": Text(
        None,
        "{name} is at {host} by now, and not at {old} any more.",
        "Nothing has to be done here. `espressoscope fleet list --check` notes it in the fleet file.",
    ),
    "nowhere": Text(
        False,
        "Nobody knows the address of the camera {mac}, and it was not found.",
        "Switch it on and give it ten seconds, and join the network it is in; or give its address.",
    ),
    "bare-stream": Text(True, "{host} is a bare MJPEG stream: it can be watched, not controlled."),
}
