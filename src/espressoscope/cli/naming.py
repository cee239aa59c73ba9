"""File names from what cameras call themselves: valid on every system, and never a way out of the folder."""

import re
import unicodedata
from datetime import UTC, datetime

__all__ = ["file_stamp", "file_stem", "unique_labels"]

# Windows refuses these, the others separate folders or mean something to a shell.
_FORBIDDEN = re.compile(
    r"[\x00-\x20\x7f-\xa0<>:\"/\\|?*%$&`'!;#~\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u2069\ufeff\ud800-\udfff]+"
)
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_STEM_CHARS = 48
_STEM_BYTES = 120


def file_stem(name: str) -> str:
    """Make a file name's first part of a camera's name.

    Letters of any script stay. The result is never empty, never starts with a dot or a dash, never ends with
    a dot, is no device name of Windows and has at most 48 characters (120 bytes in UTF-8).
    """
    text = unicodedata.normalize("NFC", name)
    text = _FORBIDDEN.sub("-", text)
    text = re.sub(r"\.{2,}", ".", text)
    text = re.sub(r"-{2,}", "-", text).strip("-._ ")[:_STEM_CHARS]
    while len(text.encode()) > _STEM_BYTES:
        text = text[:-1]
    text = text.strip("-._ ")
    if _RESERVED.fullmatch(text):
        text = f"camera-{text}"
    return text or "camera"


def file_stamp(received_ns: int) -> str:
    """Write Unix nanoseconds for a file name: UTC to the microsecond, sorting by time, no colons."""
    seconds, rest_ns = divmod(received_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{rest_ns // 1000:06d}Z"


def unique_labels(cameras: list[tuple[str, str | None, str]]) -> list[str]:
    """Give each camera, of name, MAC and address, a name nobody else in the list has.

    Where names clash, compared without case as Windows compares files, each gets the last six digits of its
    MAC, or its address where it tells none.
    """
    names = [name or address for name, _, address in cameras]
    folded = [file_stem(name).casefold() for name in names]
    labels = []
    for index, (_, mac, address) in enumerate(cameras):
        if folded.count(folded[index]) == 1:
            labels.append(names[index])
        else:
            labels.append(f"{names[index]}-{mac.replace(':', '')[-6:] if mac else address}")
    return labels
