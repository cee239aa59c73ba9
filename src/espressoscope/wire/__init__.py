"""Bytes to meaning: HTTP answers, multipart streams, JPEG markers, `/status`.

No socket, no thread, no clock, no numpy: everything here is fed bytes and gives events, so that it can be
tested with any bytes on any split.
"""
