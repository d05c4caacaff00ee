"""A supervisor with three members: each is called by a handoff tool and comes back with its result."""

from __future__ import annotations

from proxy.demo.play import Ask, Script, Turn


def _handover(member: str, brief: str, first_byte_ms: int) -> Turn:
    return Turn(asks=(Ask(f"transfer_to_{member}", {"brief": brief}),), first_byte_ms=first_byte_ms)


SCRIPT: Script = {
    "supervisor": (
        _handover("researcher", "@supervised/brief_research", 260),
        _handover("engineer", "@supervised/brief_plan", 240),
        _handover("writer", "@supervised/brief_notice", 240),
        Turn("supervised/final", first_byte_ms=300),
    ),
    "researcher": (
        Turn(
            asks=(Ask("search", {"query": "change column type large table lock backfill replica lag"}),),
            first_byte_ms=200,
        ),
        Turn("supervised/research", first_byte_ms=360),
    ),
    "engineer": (Turn("supervised/plan", first_byte_ms=520, chunk_ms=4),),
    "writer": (Turn("supervised/notice", first_byte_ms=340),),
}
