"""One agent with a tool loop: search, then read and reckon at once, then answer. The second call meets a 429."""

from __future__ import annotations

from proxy.demo.play import Ask, Failure, Script, Turn

SCRIPT: Script = {
    "analyst": (
        Turn(
            asks=(Ask("search", {"query": "Team and Works plan prices, yearly billing discount"}),), first_byte_ms=300
        ),
        Turn(
            asks=(
                Ask("fetch", {"url": "https://library.example/tally-discounts"}),
                Ask("calculator", {"expression": "$seats * $monthly * 12"}),
                Ask("calculator", {"expression": "$seats * $monthly * 12 * 0.85"}),
            ),
            first_byte_ms=260,
            failures=(Failure(429, 150, "Rate limit reached for requests per minute. Please try again in 150ms."),),
        ),
        Turn(asks=(Ask("fetch", {"url": "https://library.example/tally-plans"}),), first_byte_ms=220),
        Turn("single/answer", first_byte_ms=420),
    ),
}
