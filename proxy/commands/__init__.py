"""The commands of ``orchtax``, one file each. ``typer`` and ``rich`` are imported here only, never by a worker."""
