"""The facts of the demo's cases: three a fleet, so that sessions of one fleet differ as real work does.

Session ``routed-2`` is case 2 of fleet ``routed``; beyond the third the cases begin again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Facts = Mapping[str, str]

_SINGLE: Final[tuple[Facts, ...]] = (
    {
        "customer": "Halvorsen Freight",
        "seats": "140",
        "now": "30240",
        "then": "25704",
        "invoices": "52 000",
        "months": "19",
        "monthly": "18",
    },
    {
        "customer": "Clinic am Park",
        "seats": "64",
        "now": "13824",
        "then": "11750.4",
        "invoices": "9 400",
        "months": "31",
        "monthly": "18",
    },
    {
        "customer": "Orchard & Vale Press",
        "seats": "27",
        "now": "5832",
        "then": "4957.2",
        "invoices": "3 100",
        "months": "8",
        "monthly": "18",
    },
)
_ROUTED: Final[tuple[Facts, ...]] = (
    {
        "name": "Ines Carvalho",
        "number": "A-10442",
        "item": "Lund standing desk, oak, 160 cm",
        "trouble": "one leg is bent and the top has a deep scratch along the front edge",
        "placed": "3 November",
        "delivered": "11 November",
        "price": "489.00 EUR",
    },
    {
        "name": "Tomasz Wrona",
        "number": "A-10519",
        "item": "Hearth wall lamp, brass, set of two",
        "trouble": "only one of the two lamps was in the box, and the box was closed with the shop's own tape",
        "placed": "6 November",
        "delivered": "12 November",
        "price": "138.00 EUR",
    },
    {
        "name": "Maëlle Joubert",
        "number": "A-10603",
        "item": "Fjord wool rug, 200 x 300 cm, slate",
        "trouble": "the rug is the smaller size, 160 x 230 cm, although the label on it says 200 x 300",
        "placed": "9 November",
        "delivered": "16 November",
        "price": "612.00 EUR",
    },
)
_PIPELINE: Final[tuple[Facts, ...]] = (
    {"service": "checkout", "region": "Frankfurt", "began": "09:42", "over": "10:31", "lost": "1 870", "lead": "Oduya"},
    {"service": "search", "region": "Dublin", "began": "14:05", "over": "15:12", "lost": "6 240", "lead": "Brandt"},
    {"service": "sign-in", "region": "Warsaw", "began": "22:18", "over": "22:57", "lost": "3 415", "lead": "Mehta"},
)
_PARALLEL: Final[tuple[Facts, ...]] = (
    {"town": "Aldersby", "buildings": "23", "load": "1.9", "budget": "4.6", "boilers": "1998"},
    {"town": "Port Senan", "buildings": "11", "load": "0.8", "budget": "2.1", "boilers": "2003"},
    {"town": "Weidenau", "buildings": "37", "load": "3.4", "budget": "7.8", "boilers": "1994"},
)
_SUPERVISED: Final[tuple[Facts, ...]] = (
    {"team": "Payments", "table": "transfers", "rows": "410 million", "window": "Sunday 02:00 to 05:00 UTC"},
    {"team": "Catalogue", "table": "offers", "rows": "96 million", "window": "Tuesday 23:00 to 01:00 UTC"},
    {"team": "Telemetry", "table": "readings", "rows": "1.3 billion", "window": "Saturday 01:00 to 06:00 UTC"},
)
_CASES: Final[Mapping[str, tuple[Facts, ...]]] = {
    "single": _SINGLE,
    "routed": _ROUTED,
    "pipeline": _PIPELINE,
    "parallel": _PARALLEL,
    "supervised": _SUPERVISED,
}

ORDERS: Final[Mapping[str, Mapping[str, str]]] = {
    case["number"]: {
        "order": case["number"],
        "customer": case["name"],
        "item": case["item"],
        "paid": case["price"],
        "placed": case["placed"],
        "delivered": case["delivered"],
        "carrier": "Nordpost, tracked, signed for",
        "returns_so_far": "none",
    }
    for case in _ROUTED
}


def facts(session: str) -> Facts:
    """The facts of a session's case; empty for a session that is not one of the demo's."""
    fleet, _, number = session.rpartition("-")
    cases = _CASES.get(fleet, ())
    return cases[(int(number) - 1) % len(cases)] if cases and number.isdigit() else {}
