"""JPEG to array, at the size asked for: by the picture, by the camera, or on threads for many cameras.

`decode` does one picture. `Decoder` does those of one camera, one after the other, into one array.
`DecodePool` does the newest ones of any number of cameras on a few threads. Where pictures come from is not
this room's business: a `View` is handed frames, by a link or by anything else.
"""

from espressoscope.decode.crew import ending_here
from espressoscope.decode.jpeg import MAX_PIXELS, MAX_SCANS, Decoder, decode
from espressoscope.decode.pool import DecodePool
from espressoscope.decode.view import View, close_all

__all__ = ["MAX_PIXELS", "MAX_SCANS", "DecodePool", "Decoder", "View", "close_all", "decode", "ending_here"]
