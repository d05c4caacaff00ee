"""From what a meter saw to tokens, money and a record: pure but for the tokenizer's cache.

Usage by rank: reported by the provider, else counted with the model's tokenizer, else estimated from characters. A cut
or cancelled answer is estimated from what was seen of it. Unknown stays None.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from operator import attrgetter
from typing import Any

from collectors.pricing import Prices
from collectors.records import Attribution, CallRecord, Cost, Outcome, Usage, UsageSource
from collectors.tokens import TokenCounter, estimate
from proxy.call import Call, Tally
from proxy.dialects import Described, Observation, Prompt
from proxy.rate_limits import rate_limits
from proxy.retry_marks import client_retry, retry_key
from proxy.routes import Destination
from proxy.told_once import ToldOnce

_ATTRIBUTION = tuple(field.name for field in fields(Attribution))
_values_of = attrgetter(*_ATTRIBUTION)
_SPOKEN = frozenset({"system", "user", "assistant", "tool_result"})
MAX_COUNTED = 512 * 1024
"""Characters beyond which a text is estimated: counting must not hold an answer's last byte."""


def usage_of(
    described: Described, prompt: Prompt, seen: Observation, outcome: Outcome, counter: TokenCounter | None
) -> Usage | None:
    """The call's tokens, or None where there is nothing to count.

    ``counter`` is used where its encoding is loaded already: booking waits for nothing. Most calls never ask it.
    """
    reported = seen.usage
    is_whole = outcome == "ok" and seen.is_complete
    if reported is not None and reported.input_tokens is not None and reported.output_tokens is not None and is_whole:
        return reported
    if described.kind != "model" or seen.is_interim or not (prompt.texts or seen.text or reported):
        return reported
    if counter is not None and not counter.is_ready(described.model):
        counter = None
    reported = reported or Usage()
    counted_in = reported.input_tokens
    source: UsageSource = "estimated" if not is_whole else "counted"
    if counted_in is None:
        counted_in, exact = _tokens(described.model, prompt.texts, counter, _messages(prompt))
        source = source if exact else "estimated"
    counted_out, exact = _tokens(seen.model or described.model, (seen.text,), counter)
    if is_whole and reported.output_tokens is not None:
        counted_out, exact = reported.output_tokens, True
    counted_out = max(counted_out, reported.output_tokens or 0)
    source = source if exact else "estimated"
    return replace(reported, input_tokens=counted_in, output_tokens=counted_out, source=source)


def needs_counting(described: Described, seen: Observation) -> bool:
    """Whether a whole answer of a model came without (all of) its usage."""
    usage = seen.usage
    is_reported = usage is not None and usage.input_tokens is not None and usage.output_tokens is not None
    return described.kind == "model" and not is_reported and not seen.is_interim


def _messages(prompt: Prompt) -> int:
    """Messages of a prompt, near enough: one a part of text."""
    return sum(block.kind in _SPOKEN for block in prompt.blocks)


def _tokens(
    model: str | None, texts: tuple[str, ...], counter: TokenCounter | None, messages: int | None = None
) -> tuple[int, bool]:
    """``(tokens, whether they were counted with the model's own tokenizer)``; ``messages`` adds the chat's framing."""
    characters = sum(map(len, texts))
    if counter is None or characters > MAX_COUNTED:
        return estimate(characters), False
    return counter.count(model, texts) if messages is None else counter.count_chat(model, messages, texts)


def cost_of(prices: Prices, call: Call, models: tuple[str | None, str | None], usage: Usage | None) -> Cost | None:
    """The call's money, or None when nobody knows a price. The fee of a tool is for using it, not for asking what
    there is to use (a protocol's handshakes and lists are kind ``other``), and not for being asked back.

    ``models`` are the one that was asked for and the one that answered. The operator's own price of either wins, then
    the price data's for the one that answered, then for the one asked for.
    """
    asked, answered = models
    upstream = call.route.destination.upstream
    is_due = call.described.kind != "other" and not (call.seen and call.seen.is_interim)
    fee = upstream.price_per_call_usd if is_due else None
    order = [m for m in (asked, answered) if prices.has_own(m)] + [m for m in (answered, asked) if m] + [None]
    for model in order:
        if (cost := prices.cost(upstream.provider, model, usage or Usage(), call.ts_ns, fee)) is not None:
            return cost
    return None


@dataclass(frozen=True, slots=True)
class Books:
    """What booking needs; ``worker`` names this process in the records."""

    worker: str
    prices: Prices
    counter: TokenCounter
    told: ToldOnce


def settle(call: Call, outcome: Outcome, books: Books, tally: Tally) -> None:
    """Work out tokens and money into ``call.usage`` and ``call.cost``; each stays unknown when it cannot be had. A call
    that the upstream did not take has neither."""
    if not call.is_answered or call.seen is None:
        return
    model, seen = call.described.model, call.seen
    with tally.measuring("usage"):
        call.usage = usage_of(call.described, call.prompt or Prompt(), seen, outcome, books.counter)
        _book_once(call, books.told)
    with tally.measuring("price"):
        call.cost = cost_of(books.prices, call, (model, seen.model), call.usage)


def _book_once(call: Call, told: ToldOnce) -> None:
    """Usage that was booked before is dropped. Reading an answer is no call of a model (kind ``other``), unless that
    is how its usage comes to be known."""
    usage_id = call.seen.usage_id if call.seen else ""
    if not usage_id or call.usage is None:
        return
    if not told.is_first(call.route.destination.name, usage_id):
        call.usage = None
    elif call.described.kind == "other":
        call.described = replace(call.described, kind="model")


def record_of(call: Call, outcome: Outcome, worker: str) -> CallRecord:
    """The record of a finished call, from what the steps left in it."""
    described, to, seen = call.described, call.route.destination, call.seen or Observation(is_complete=False)
    return CallRecord(
        call_id=call.call_id,
        ts_ns=call.ts_ns,
        kind=described.kind,
        upstream=to.name,
        dialect=call.dialect.name,
        outcome=outcome,
        status=call.status,
        worker=worker,
        method=call.request.method,
        path=call.route.path,
        operation=described.operation,
        tool=described.tool or (to.name if described.kind == "tool" else ""),
        model=described.model,
        response_model=seen.model,
        response_id=seen.response_id,
        previous_id=described.previous_id,
        streamed=described.streamed,
        finish_reason=seen.finish_reason,
        error=seen.error,
        body_hash=described.body_hash,
        request_bytes=call.body.size,
        response_bytes=call.response_bytes,
        blocks=call.prompt.blocks if call.prompt else (),
        outputs=seen.outputs,
        emitted_tools=seen.emitted_tools,
        **_attribution(call.attribution, seen, to),
        client_retry=client_retry(call.request.headers),
        retry_key=retry_key(call.request.headers),
        **rate_limits(call.answer_headers, call.ts_ns),
        **_times(call),
        **_usage_fields(call.usage),
        **_cost_fields(call.cost),
    )


def _attribution(who: Attribution, seen: Observation, to: Destination) -> dict[str, Any]:
    told: dict[str, Any] = dict(zip(_ATTRIBUTION, _values_of(who), strict=True))
    told["essential"] = to.upstream.essential if who.essential is None else who.essential
    told["verdict"] = who.verdict or seen.verdict
    return told


def _times(call: Call) -> dict[str, Any]:
    """``proxy_us`` = from the request read to its sending, and from the last byte to the booking."""
    now = time.monotonic_ns()
    last = call.last_at or now
    sent = call.sent_at or last
    return {
        "duration_us": (last - call.read_at) // 1000,
        "ttfb_us": (call.first_at - call.read_at) // 1000 if call.first_at else None,
        "proxy_us": (sent - call.read_at + now - last) // 1000,
    }


def _usage_fields(usage: Usage | None) -> dict[str, Any]:
    if usage is None:
        return {}
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "usage_source": usage.source,
    }


def _cost_fields(cost: Cost | None) -> dict[str, Any]:
    if cost is None:
        return {}
    return {
        "cost_nano": cost.total_nano,
        "cost_input_nano": cost.input_nano,
        "cost_cache_read_nano": cost.cache_read_nano,
        "cost_cache_write_nano": cost.cache_write_nano,
        "cost_output_nano": cost.output_nano,
        "cost_fee_nano": cost.fee_nano,
        "price_version": cost.price_version,
    }
