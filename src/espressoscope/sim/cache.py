"""A cache with a ceiling in bytes, so that sprites and pre-rendered pictures cost bounded memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["ByteCache"]

Item = TypeVar("Item")


class ByteCache(Generic[Item]):
    """Keep what was used last, up to a number of bytes; forget the rest.

    Safe to use from several threads; two that miss the same key at once both make it.

    Parameters
    ----------
    limit_bytes : int
        Ceiling. An item larger than all of it is made and given, and not kept.
    size_of : callable
        Bytes an item takes.
    """

    def __init__(self, limit_bytes: int, size_of: Callable[[Item], int]) -> None:
        self._limit = limit_bytes
        self._size_of = size_of
        self._items: OrderedDict[Hashable, Item] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, key: Hashable, make: Callable[[], Item]) -> Item:
        """Give the item of this key, made now if it is not at hand."""
        with self._lock:
            item = self._items.get(key)
            if item is not None:
                self._items.move_to_end(key)
                return item
        item = make()
        size = self._size_of(item)
        with self._lock:
            if size <= self._limit and key not in self._items:
                self._items[key] = item
                self.bytes += size
                while self.bytes > self._limit:
                    self.bytes -= self._size_of(self._items.popitem(last=False)[1])
        return item

    def peek(self, key: Hashable) -> Item | None:
        """Give the item of this key if it is at hand; it does not count as used."""
        return self._items.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def __len__(self) -> int:
        return len(self._items)
