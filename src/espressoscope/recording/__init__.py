"""Recording that loses nothing: the camera's own bytes with true times, and reading them back.

Writing needs the standard library and numpy; tifffile and dask are loaded when somebody asks for them. The
byte layout is written down in docs/recording-format.md, and here in `layout`.
"""
