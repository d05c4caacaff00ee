"""Order on one clock."""

from __future__ import annotations

from collectors.timeline import takes_part, timeline
from tests.story import model


def test_no_calls_make_an_empty_line() -> None:
    assert list(timeline([]).arrivals()) == []


def test_order_is_arrival_then_end_then_id() -> None:
    calls = [model("b", "w", 5, 5), model("c", "w", 5, 3), model("a", "w", 5, 5), model("z", "w", 0, 99)]
    assert [call.call_id for call in timeline(calls).calls] == ["z", "c", "a", "b"]


def test_what_ends_as_another_arrives_has_ended_and_nothing_ends_before_itself() -> None:
    line = timeline([model("a", "w", 0, 10), model("b", "w", 10, 0), model("c", "w", 10, 0), model("d", "w", 20, 1)])
    assert list(line.arrivals()) == [(0, []), (1, [0]), (2, [1]), (3, [2])]


def test_times_are_microseconds_since_the_first_arrival() -> None:
    line = timeline([model("a", "w", 2, 1), model("b", "w", 2.5, 1)])
    assert (line.starts, line.ends) == ((0, 500), (1_000, 1_500))


def test_a_call_told_twice_counts_once() -> None:
    line = timeline([model("a", "w", 0, 9), model("a", "w", 0, 5)])
    assert line.ends == (9_000,)


def test_refused_calls_and_other_traffic_take_no_part() -> None:
    assert takes_part(model("a", "w", 0, 1, outcome="error"))
    assert not takes_part(model("a", "w", 0, 1, outcome="refused"))
    assert not takes_part(model("a", "w", 0, 1, kind="other"))
