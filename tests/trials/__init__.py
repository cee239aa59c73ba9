"""Trials of recording: programs killed and interrupted at random moments, and every byte of many cameras.

    python tests/trials kills --times 30              kill -9, and what is left
    python tests/trials interrupts --times 30         Ctrl-C, from the first moment to the last
    python tests/trials bytes --cameras 24 --seconds 60

The suite runs short forms of all three.
"""
