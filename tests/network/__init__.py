"""A bad network of our own, in namespaces: what arrives, how old, how soon it recovers; in figures.

    python tests/network                    all scenarios, a few minutes; prints the table
    python tests/network --write            and puts it into docs/networks.md
    python tests/network loss30 duplicate   these only

`test_networks.py` runs them shorter. Linux only: the cameras sit at the far ends of virtual network cards
whose packets a program of ours carries, or loses, or holds back (`radio.py`). No packet leaves it.
"""
