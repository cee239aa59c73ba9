"""The soak: a fleet of simulated cameras, half of them struck by every fault at random, for minutes on end.

    python tests/soak --cameras 24 --seconds 600

What it requires is in `soak.recovery`, `soak.ledger`, `soak.closing`, `soak.recordings`, `soak.vitals` and
`soak.leftovers`, one of the issue's sentences each. The simulator is a process of its own (`simulator.py`),
so that its memory, threads and work are not taken for ours.
"""
