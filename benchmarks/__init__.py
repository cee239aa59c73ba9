"""Ours beside the floor and the peers, in one run: ``python -m benchmarks``.

`__main__` runs scenarios (`scenarios/`); a scenario starts one load generator (`load`) and, in turn, each of
its rows (`receivers/`) as a process of its own (`row`), round by round; `report` and `plots` write
`docs/performance.md` from the raw figures in `results.json`.

Two more are run by themselves: `memory`, which takes ten minutes, and `simulator`, what simulated cameras cost.
"""
