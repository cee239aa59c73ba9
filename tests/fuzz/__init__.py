"""Campaigns of fuzzing: bytes nobody would send, and what must hold whatever they are.

    python -m tests.fuzz --list                       the targets
    python -m tests.fuzz stream --seconds 180         one of them; without a name, all
    python -m tests.fuzz stream --corpus ~/corpus     begin with the inputs there, and keep new ones there

Inputs begin with what the simulator, our writers and, where they lie beside the repository, the recorded
captures give. With atheris installed (``pip install atheris``, Linux) it looks for new code; without it,
inputs are kept that made something happen that had not happened before. Each target says in words what must
hold: no exception but the documented ones, bounded work and memory, the same result on every way there is
to it, and what is read back was written. `test_fuzz.py` is the short form, and has every input that ever
found something.
"""
