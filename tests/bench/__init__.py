"""``make bench``: what one worker adds and carries, beside no proxy and beside a bare pass-through, in one run.

Every figure is a ratio or a difference between subjects measured seconds apart on the same cores. ``run.py`` is the
story of a run; ``load.py``, ``provider.py`` and ``bare.py`` are processes of their own, so that none shares an
interpreter with what it measures.
"""
