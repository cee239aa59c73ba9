"""What the doctor can find once a camera answers, in words, and what to try; texts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from espressoscope.lab.doctor_texts_network import Text

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BOARD", "STREAM"]

BOARD: Final[Mapping[str, Text]] = {
    "own-network": Text(True, "It is its own access point: nothing stands between."),
    "radio": Text(True, "Its radio hears the network well ({rssi} dBm)."),
    "radio-fair": Text(
        None,
        "Its radio hears the network at {rssi} dBm: enough for pictures, little for video.",
        "Bring camera and access point closer together, or clear metal out of the way. Above {good} dBm is "
        "good.",
    ),
    "radio-weak": Text(
        False,
        "Its radio hears the network at {rssi} dBm only: weak.",
        "Bring camera and access point closer together, clear metal out of the way, use a board with an "
        "antenna. Above {good} dBm is good, below {weak} dBm pictures are lost.",
    ),
    "running": Text(True, "It has been running for {time}."),
    "just-started": Text(
        None,
        "It started {seconds} s ago.",
        "If nobody switched it on just now, its power failed: a supply of 5 V and at least 1 A, and a "
        "short, thick cable, cure most of that.",
    ),
    "restarted": Text(
        False,
        "It restarted while it was being looked at.",
        "Its power supply is probably too weak for the radio: a supply of 5 V and at least 1 A, and a "
        "short, thick cable, cure most of that.",
    ),
}

STREAM: Final[Mapping[str, Text]] = {
    "no-stream": Text(
        None, "This firmware has no MJPEG stream.", "Take single pictures: `espressoscope snap CAMERA`."
    ),
    "not-watched": Text(
        None,
        "Its stream was not looked at: this firmware gives it to whoever asks last, and takes it from "
        "everybody else.",
        "`espressoscope stream CAMERA --seconds 3` looks at it when nobody else does.",
    ),
    "stream-refused": Text(
        False,
        "Port {control} answers, but nothing listens on port {port}, where its stream should be.",
        "Switch it off and on. If this stays so, its firmware's stream is switched off, or on another port.",
    ),
    "stream-blocked": Text(
        False,
        "Port {control} answers, but port {port}, where its stream is, takes no connection.",
        "A firewall or a router between lets web pages through and nothing else: allow port {port}. More "
        "than five viewers that wait for the stream look the same: close them.",
    ),
    "stream-wants-password": Text(
        False,
        "Its stream wants a user name and a password, or refused those given.",
        "Write them into the address: http://USER:PASSWORD@HOST.",
    ),
    "stream-missing": Text(
        False,
        "Port {port} answers, but with no stream ({what}).",
        "Give the whole URL of the stream, if it is another. If the camera has just been watched, its "
        "sensor may hang: switch it off and on.",
    ),
    "busy": Text(
        False,
        "Another viewer holds its only stream: it takes the connection and sends nothing, while its control"
        " answers{seen}.",
        "Close other viewers: browser tabs, napari, other computers. One that has vanished is let go after "
        "about six seconds.",
    ),
    "stream-silent": Text(
        False,
        "Its stream takes the connection and sends nothing within {seconds} s.",
        "Another viewer may hold it: close browser tabs too. Otherwise switch it off and on.",
    ),
    "framesize-too-big": Text(
        False,
        "Its stream opens and brings no picture, or soon none any more: at {framesize} and quality "
        "{quality} pictures outgrow the buffer that this firmware makes for {boot} when it starts.",
        "`espressoscope set CAMERA framesize={boot}`, or a higher quality number, which means smaller files.",
    ),
    "no-picture": Text(
        False,
        "Its stream opens and brings no picture within {seconds} s.",
        "Its sensor hangs: switch it off and on, press its ribbon cable home.",
    ),
    "trickles": Text(
        False,
        "Its stream comes at {rate} bytes a second: no whole picture within {seconds} s.",
        "Its radio is weak or crowded: bring camera and access point closer together, use a smaller "
        "framesize, stop other cameras for a try.",
    ),
    "stalls": Text(
        False,
        "Its stream stopped in the middle: nothing for {seconds} s.",
        "Try again. If it stops again, its power or its radio fails now and then: a better supply, a "
        "shorter way to the access point.",
    ),
    "breaks": Text(
        False,
        "Its stream broke off after {pictures}.",
        "Try again. If it breaks off again, its power or its radio is weak, or pictures outgrow its buffer:"
        " a smaller framesize or a higher quality number.",
    ),
    "frozen": Text(
        False,
        "It sends the same picture again and again, byte for byte: it sees nothing new.",
        "Switch it off and on.",
    ),
    "damaged": Text(
        False,
        "{damaged} of {pictures} are damaged ({what}).",
        "Press the ribbon cable of the sensor home and keep it short; try xclk=10, or a smaller framesize. "
        "A weak power supply does this too.",
    ),
    "out-of-step": Text(
        None,
        "Its stream was out of step {times}: bytes that belong to no picture, or wrong lengths.",
        "Its pictures are found all the same. A current firmware does better; so does a way to it without a"
        " proxy between.",
    ),
    "slow-by-setting": Text(
        None,
        "It is told to send no more than {limit} pictures a second (min_frame_time is {ms} ms).",
        "`espressoscope set CAMERA min_frame_time=0` lifts that.",
    ),
    "stops-by-setting": Text(
        False,
        "min_frame_time is {ms} ms: above 2000 this firmware ends its stream for good.",
        "`espressoscope set CAMERA min_frame_time=0`. For slow pictures take single ones.",
    ),
    "radio-full": Text(
        False,
        "{fps} pictures a second of the {usual} or more that are usual at {framesize}: the radio carries "
        "{rate} KB/s, about as much as it can.",
        "A smaller framesize or a higher quality number makes more pictures of the same bytes. Other "
        "cameras on the same WiFi channel share it.",
    ),
    "slow": Text(
        False,
        "{fps} pictures a second of the {usual} or more that are usual at {framesize}, with {rate} KB/s: "
        "neither sensor nor radio should be so slow.",
        "The WiFi channel may be crowded: try another, or stop other cameras. The board may be busy: "
        "autofocus, other requests, an SD card. Its power may be weak.",
    ),
    "pictures": Text(
        True, "{pictures} of {width} x {height} in {seconds} s: {fps} a second, {rate} KB/s{sensor}."
    ),
    "let-go": Text(True, "Its stream was held for {seconds} s and is free again."),
    "cut-short": Text(
        None,
        "Looking took longer than {seconds} s: what was left has not been looked at.",
        "Mend what was found so far, and run it again.",
    ),
}
