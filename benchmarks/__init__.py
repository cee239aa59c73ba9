"""Ours beside the floor and the peers, in one run: ``python -m benchmarks``.

`__main__` runs scenarios (`scenarios/`); a scenario starts one load generator (`load`) and, in turn, each of
its rows (`receivers/`) as a process of its own (`row`), round by round; `report` and `plots` write
`docs/performance.md` from the raw figures in `results.json`.

Others are run by themselves: `memory` takes ten minutes, `discovery` needs network namespaces, `simulator`
tells what simulated cameras cost.
"""
