"""What a command could not do, as an exception that the command line turns into a line and an exit code."""

from __future__ import annotations


class NoData(Exception):
    """No source answers, or it has nothing; the text says what was tried and what to do."""


class BadOption(Exception):
    """An option's value cannot be used; the text names it and the remedy."""
