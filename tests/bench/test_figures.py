"""The bench's arithmetic on rounds written by hand, and its load generator against its own provider."""

from __future__ import annotations

import asyncio

from tests.bench.figures import BARE, DIRECT, ORCHTAX, WHOLE, Measured, Spread, closed, open_at, opened, quantiles
from tests.bench.load import Job, Play
from tests.bench.provider import Provider, stream_pieces, whole_answer


def measured(subject: str, number: int, per_second: float, cpu_us: float | None = None) -> Measured:
    return Measured(subject, WHOLE, number, 10, 0, per_second, cpu_us)


def test_ratios_compare_within_a_round() -> None:
    """The machine is twice as fast in the second round: ratios do not move."""
    each = ((DIRECT, 40.0, None), (BARE, 4.0, 250.0), (ORCHTAX, 2.0, 500.0))
    rows = [measured(s, n, rate * (n + 1), cpu) for n in (0, 1) for s, rate, cpu in each]
    found = {row.subject: row for row in closed(rows, WHOLE)}
    assert found[ORCHTAX].to_bare == Spread(0.5, 0.5, 0.5)
    assert found[ORCHTAX].to_direct == Spread(0.05, 0.05, 0.05)
    assert (found[DIRECT].to_bare_by_cpu, found[ORCHTAX].to_bare_by_cpu) == (None, 0.5)
    assert found[BARE].per_second == Spread(6.0, 4.0, 8.0)


def test_added_latency_is_the_difference_of_quantiles() -> None:
    scene = open_at(100)
    base, slower = tuple(map(float, range(1, 101))), tuple(map(float, range(11, 111)))
    rows = [Measured(s, scene, 0, 100, 0, 100.0, None, us) for s, us in ((DIRECT, base), (ORCHTAX, slower))]
    added = {row.subject: row.added_us for row in opened(rows, scene)}
    assert added == {DIRECT: (0.0, 0.0, 0.0), ORCHTAX: (10.0, 10.0, 10.0)}


def test_quantiles_of_one_value_are_that_value() -> None:
    assert quantiles([7.0]) == (7.0, 7.0, 7.0)


async def test_load_counts_every_answer() -> None:
    """Closed loop to a number of calls, whole and streamed, then open loop: every answer whole and counted."""
    whole, pieces = whole_answer(), tuple(stream_pieces())
    server = await asyncio.get_running_loop().create_server(lambda: Provider(whole, pieces), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for streamed in (False, True):
        played = await Play(Job(port, 10.0, connections=4, most=50, streamed=streamed)).run()
        assert (played.calls, played.failed) == (50, 0)
    played = await Play(Job(port, 0.3, connections=4, rate=200.0)).run()
    assert played.calls == len(played.latencies_us) > 0
    assert played.failed == 0
    server.close()
    await server.wait_closed()
