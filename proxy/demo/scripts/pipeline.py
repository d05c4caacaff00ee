"""Extract → analyse → write, each once; the second stage's first attempt breaks with a 500."""

from __future__ import annotations

from proxy.demo.play import Failure, Script, Turn

SCRIPT: Script = {
    "extract": (Turn("pipeline/extract", first_byte_ms=260, chunk_ms=4),),
    "analyse": (
        Turn(
            "pipeline/analyse",
            first_byte_ms=380,
            chunk_ms=4,
            failures=(Failure(500, 120, "The server had an error while processing your request. Sorry about that!"),),
        ),
    ),
    "write": (Turn("pipeline/write", first_byte_ms=320, chunk_ms=4),),
}
