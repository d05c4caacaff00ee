"""Usage that an API tells more than once is booked for the first answer that tells it, whichever worker relayed it.

A response of OpenAI's Responses API can be read again by its id, and each reading repeats its usage; one made in the
background tells it in no other way. What was told is kept in the register of ids, so it holds for all workers of a
machine and after a restart, for as long as the register remembers (tens of thousands of ids). Two workers that relay
the same response in the same microseconds may both take themselves for the first.
"""

from __future__ import annotations

from proxy.id_register import IdRegister, Owner

_TOLD = Owner("told", "", 1.0)


class ToldOnce:
    """Remembers whose usage was booked."""

    def __init__(self, register: IdRegister) -> None:
        self._register = register

    def is_first(self, upstream: str, usage_id: str) -> bool:
        """Whether this upstream's answer of that id is told for the first time; from now on it is not.

        Raises:
            OSError: the disk failed.
        """
        scope = f"usage {upstream}"
        if self._register.find(scope, usage_id) is not None:
            return False
        self._register.put(scope, usage_id, _TOLD)
        return True
