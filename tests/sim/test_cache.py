"""The byte-bounded cache keeps what was used last."""

from __future__ import annotations

import pytest

from espressoscope.sim.cache import ByteCache


@pytest.fixture
def cache() -> ByteCache[bytes]:
    return ByteCache(100, len)


def test_makes_once(cache: ByteCache[bytes]) -> None:
    made: list[int] = []
    for _ in range(3):
        assert cache.get("a", lambda: made.append(1) or b"x" * 10) == b"x" * 10
    assert (made, cache.bytes) == ([1], 10)


def test_forgets_what_was_not_used_longest(cache: ByteCache[bytes]) -> None:
    for name in "abc":
        cache.get(name, lambda: b"x" * 40)
        cache.get("a", lambda: b"")
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    assert (cache.bytes, len(cache)) == (80, 2)


def test_gives_and_does_not_keep_what_is_too_large(cache: ByteCache[bytes]) -> None:
    assert len(cache.get("big", lambda: b"x" * 101)) == 101
    assert ("big" in cache, cache.bytes) == (False, 0)
