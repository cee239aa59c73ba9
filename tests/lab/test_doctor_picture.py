"""What counts and times of a stream mean: the judgement, without a network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from espressoscope.errors import CameraError, ConnectError, ConnectReason
from espressoscope.lab.doctor_picture import Circumstances, judge
from espressoscope.lab.doctor_stream import StreamSigns

GOOD = StreamSigns(
    connected=True,
    multipart=True,
    received=400_000,
    pictures=31,
    width=640,
    height=480,
    seconds=3.0,
    held_s=3.1,
    bytes_of_pictures=31 * 12_000,
)
KNOWN = Circumstances(
    80, 81, "matchboxscope", "OV2640", {"framesize": "VGA", "quality": 12, "xclk": 8, "min_frame_time": 0}
)


def wrong(signs: StreamSigns, known: Circumstances = KNOWN) -> list[str]:
    return [finding.code for finding in judge(signs, known) if finding.ok is False]


def with_rate(fps: float, kilobytes: float) -> StreamSigns:
    return replace(GOOD, seconds=30 / fps, bytes_of_pictures=int(31 * kilobytes * 1000))


def known(**changes: Any) -> Circumstances:
    return replace(KNOWN, values={**KNOWN.values, **changes})


def test_all_is_well() -> None:
    findings = list(judge(GOOD, KNOWN))
    assert [finding.code for finding in findings] == ["pictures", "let-go"]
    words = findings[0].words
    assert (
        words == "31 pictures of 640 x 480 in 3.0 s: 10 a second, 120 KB/s; the sensor makes 10 at this size."
    )


@pytest.mark.parametrize(
    ("fps", "kilobytes", "changes", "says"),
    [
        (10, 12, {}, []),
        (4.1, 12, {}, []),  # over WiFi as usual
        (3.9, 12, {}, ["slow"]),
        (3.9, 100, {}, ["radio-full"]),  # 390 KB/s: the pictures are too large for the radio
        (5.0, 40, {"xclk": 20}, ["slow"]),  # of 25
        (9.9, 39, {"xclk": 20}, ["radio-full"]),
        (1.3, 200, {"framesize": "UXGA"}, []),  # of 5: above SVGA less is usual
        (1.1, 200, {"framesize": "UXGA"}, ["slow"]),
        (2.0, 12, {"min_frame_time": 500}, []),  # as it was told
        (0.7, 12, {"min_frame_time": 500}, ["slow"]),
        (3.0, 12, {"framesize": 99}, []),  # a size of which nothing is known
    ],
)
def test_the_rate_beside_the_sensors(
    fps: float, kilobytes: float, changes: dict[str, Any], says: list[str]
) -> None:
    assert wrong(with_rate(fps, kilobytes), known(**changes)) == says


@pytest.mark.parametrize(
    ("signs", "says"),
    [
        ({"connected": False, "refused": True}, "stream-refused"),
        ({"connected": False}, "stream-blocked"),
        ({"received": 0, "pictures": 0, "multipart": False}, "busy"),
        ({"pictures": 0, "received": 300, "ended": True, "quiet_s": 4.0}, "no-picture"),
        ({"pictures": 0, "received": 300, "quiet_s": 6.0}, "no-picture"),
        ({"pictures": 0, "received": 9000, "quiet_s": 3.0}, "stalls"),
        ({"pictures": 0, "received": 9000, "quiet_s": 0.1}, "trickles"),
        ({"pictures": 0, "received": 300, "quiet_s": 0.1}, "trickles"),
        ({"pictures": 5, "ended": True, "quiet_s": 0.0}, "breaks"),
        ({"pictures": 5, "ended": True, "quiet_s": 4.1}, "breaks"),
        ({"pictures": 5, "quiet_s": 4.0}, "stalls"),
        ({"repeats": 5}, "frozen"),
        ({"pictures": 4, "seconds": 0.3, "repeats": 3}, "frozen"),
        ({"damaged": 3, "problems": ["it is cut off"]}, "damaged"),
    ],
)
def test_what_signs_mean(signs: dict[str, Any], says: str) -> None:
    assert wrong(replace(GOOD, **signs)) == [says]


def test_a_size_too_big_needs_its_signature() -> None:
    """A stream that broke off says nothing about sizes; one that ended 4 s after its last picture does."""
    large = known(framesize="UXGA", quality=6)
    assert wrong(replace(GOOD, pictures=0, received=300, ended=True, quiet_s=4.0), large) == [
        "framesize-too-big"
    ]
    assert wrong(replace(GOOD, pictures=2, ended=True, quiet_s=4.2), large) == ["framesize-too-big"]
    assert wrong(replace(GOOD, pictures=2, ended=True, quiet_s=0.1), large) == ["breaks"]
    other = replace(large, firmware="camerawebserver")  # starts its driver at UXGA
    assert wrong(replace(GOOD, pictures=0, received=300, ended=True, quiet_s=4.0), other) == ["no-picture"]


def test_silence_is_another_viewer_only_while_the_control_answers() -> None:
    silent = StreamSigns(connected=True, held_s=7.0)
    assert wrong(silent) == ["busy"]
    assert wrong(silent, replace(KNOWN, alive=False)) == ["stream-silent"]
    assert wrong(silent, Circumstances(None, 8080)) == ["stream-silent"]
    counted = next(judge(silent, replace(KNOWN, viewers=2)))
    assert counted.words.endswith("; it counts 2 viewers.")


def test_answers_that_are_no_stream() -> None:
    no = StreamSigns(connected=True, received=100, ended=True)
    auth = ConnectError("no", reason=ConnectReason.AUTH)
    taken = ConnectError("no", reason=ConnectReason.BUSY)
    assert wrong(replace(no, error=auth)) == ["stream-wants-password"]
    assert wrong(replace(no, error=taken)) == ["busy"]
    assert wrong(replace(no, error=CameraError("it answers HTTP 500"))) == ["stream-missing"]
    assert wrong(no) == ["stream-missing"]


def test_causes_stand_before_what_follows_from_them() -> None:
    both = replace(GOOD, damaged=3, problems=["x"], repeats=9, resynced=2)
    found = [finding.code for finding in judge(both, known(min_frame_time=400))]
    assert found == ["frozen", "damaged", "out-of-step", "slow-by-setting", "pictures", "let-go"]
