"""The napari plugin: live pictures of one to many cameras, and what can be done with them there.

Thin: the work is that of `espressoscope.Fleet` and `espressoscope.display`. `session` owns the fleet and all
threads, and is the only place where a call may block; widgets are told by Qt signals. This package is the
only one that knows Qt and napari, and is loaded by napari through ``napari.yaml`` alone.
"""
