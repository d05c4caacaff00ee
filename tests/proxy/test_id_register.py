"""Ids and their owners: shared by all who open the file, there after a restart, bounded, and safe against damage."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.id_register import IdRegister, Owner

PLANNER = Owner("s1", "planner", 0.95)


@pytest.fixture
def register(tmp_path: Path) -> Iterator[IdRegister]:
    made = IdRegister(tmp_path / "ids", pages=2)
    yield made
    made.close()


def test_another_worker_and_the_next_run_find_what_was_put(tmp_path: Path) -> None:
    first, second = IdRegister(tmp_path / "ids"), IdRegister(tmp_path / "ids")
    first.put("k", "id:resp_1", PLANNER)
    assert second.find("k", "id:resp_1") == PLANNER
    first.close()
    second.close()
    third = IdRegister(tmp_path / "ids")
    assert third.find("k", "id:resp_1") == PLANNER
    assert (third.find("other key", "id:resp_1"), third.find("k", "id:resp_2")) == (None, None)
    third.close()


def test_the_latest_stage_of_a_session_counts(register: IdRegister) -> None:
    register.put("k", "id:conv", PLANNER)
    writer = Owner("s1", "writer", 0.95)
    register.put("k", "id:conv", writer)
    assert register.find("k", "id:conv") == writer


def test_an_id_of_two_sessions_is_nobodys_for_good(register: IdRegister) -> None:
    for session in ("s1", "s2", "s1"):
        register.put("k", "trace:t", Owner(session, "a", 1.0))
    assert register.find("k", "trace:t") == Owner("", "", 1.0)


def test_the_surer_session_has_the_id(register: IdRegister) -> None:
    guess = Owner("s2", "a", 0.6)
    for owner in (guess, PLANNER, guess):
        register.put("k", "trace:t", owner)
    assert register.find("k", "trace:t") == PLANNER


def test_the_file_stays_bounded_and_the_oldest_goes(register: IdRegister, tmp_path: Path) -> None:
    for n in range(400):
        register.put("k", f"id:{n}", PLANNER)
    assert (tmp_path / "ids").stat().st_size <= 2 * 4096
    kept = [n for n in range(400) if register.find("k", f"id:{n}")]
    assert len(kept) == 16
    assert min(kept) > 300


def test_an_owner_too_long_for_a_slot_is_not_kept(register: IdRegister) -> None:
    register.put("k", "id:1", Owner("ä" * 256, "s" * 256, 1.0))
    assert register.find("k", "id:1") is None


def test_damage_reads_as_nothing_and_is_written_over(register: IdRegister, tmp_path: Path) -> None:
    register.put("k", "id:1", PLANNER)
    data = (tmp_path / "ids").read_bytes()
    for at, byte in enumerate(data):
        if byte:
            spoilt = data[:at] + bytes([byte ^ 0xFF]) + data[at + 1 :]
            (tmp_path / "ids").write_bytes(spoilt)
            assert register.find("k", "id:1") in (None, PLANNER)  # the time of writing is not checked
    (tmp_path / "ids").write_bytes(b"\xff" * 8192)
    register.put("k", "id:1", PLANNER)
    assert register.find("k", "id:1") == PLANNER
    (tmp_path / "ids").write_bytes(data[:700])
    assert register.find("k", "id:2") is None


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=40), st.integers(1, 100)), max_size=12))
@settings(max_examples=40, deadline=None)
def test_what_is_found_was_put(puts: list[tuple[str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        register = IdRegister(Path(folder) / "ids", pages=2)
        for n, (name, session, percent) in enumerate(puts):
            owner = Owner(f"s{session}", name, percent / 100)
            register.put(f"scope {n}", name, owner)
            assert register.find(f"scope {n}", name) == owner
        register.close()
