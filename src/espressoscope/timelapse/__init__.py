"""Time-lapse for weeks: when points are due, what became of each, and the run they are stored in.

Nothing here knows a camera: pictures come through `walk.Taker`, which `api` makes of one.
"""
