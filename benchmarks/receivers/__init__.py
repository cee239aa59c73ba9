"""The receivers that are compared, each a function that takes a `Job` and gives the figures of its window.

`floor`: the least that could be done; `ours`: the public classes; `peers`: what people use otherwise. Every
one runs in a process of its own, through `benchmarks.row`. A library that is not installed shows as
`NotHereError` or ImportError, and in the tables as "not installed".
"""
