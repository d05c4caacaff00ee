"""What can go wrong with the store, in the three ways its users must tell apart."""

from __future__ import annotations


class StoreError(Exception):
    """Any of the three below. The text says what is wrong and, where there is one, the remedy."""


class StoreUnavailable(StoreError):
    """Not now: down, unreachable, overloaded, out of space, schema missing. Try the same again later."""


class StoreLocked(StoreUnavailable):
    """Another process has the embedded store open. The text names path, process id and command."""


class StoreRejected(StoreError):
    """Never: the data or the statement is at fault, and trying it again cannot help."""
