"""JPEG to array: one picture when somebody asks (`decode`), or every newest one on a few threads.

The only room that calls simplejpeg (libjpeg-turbo). Where pictures come from is not its business: a `View` is
handed frames, by a link or by anything else.
"""

from espressoscope.decode.jpeg import MAX_PIXELS, MAX_SCANS, decode
from espressoscope.decode.pool import DecodePool
from espressoscope.decode.view import View, close_all

__all__ = ["MAX_PIXELS", "MAX_SCANS", "DecodePool", "View", "close_all", "decode"]
