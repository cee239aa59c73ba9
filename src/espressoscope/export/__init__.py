"""Recordings in the formats of other programs, all from the JPEGs as they were sent.

Modules: `job` (one export from its wishes to its result), `chosen` (which frames), `staging` (a result is
there whole or not at all), and one for each format: `mkv`, `jpegs`, `omezarr` with `shards` and `metadata`,
`sheet`. `zarr_codec` is what Zarr loads by entry point to read the third.
"""
