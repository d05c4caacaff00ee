"""Router → specialist → validator: the validator fails the first draft, the specialist works it over."""

from __future__ import annotations

from proxy.demo.play import Ask, Script, Turn

SCRIPT: Script = {
    "router": (Turn("routed/route", first_byte_ms=140),),
    "specialist": (
        Turn(asks=(Ask("orders", {"order": "$number"}),), first_byte_ms=280),
        Turn("routed/draft", first_byte_ms=450),
        Turn("routed/rework", first_byte_ms=450),
    ),
    "validator": (Turn("routed/fail", first_byte_ms=240), Turn("routed/pass", first_byte_ms=220)),
}
