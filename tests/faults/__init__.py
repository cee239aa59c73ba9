"""The fault matrix: every fault of the simulator, and what every consumer of a camera makes of it.

    python -m tests.faults

What is expected stands in `matrix`, a table. `scene` has one camera struck by each fault, again and again for
those who cannot share one, and everybody who uses cameras look on at the same time: `live` (a fleet), `alone`
(cameras that nobody streams from, and a time-lapse), `programs` (`espressoscope watch`) and `window` (napari,
a program of its own). `page` writes docs/reliability.md of the table and of what a run has measured.
"""
