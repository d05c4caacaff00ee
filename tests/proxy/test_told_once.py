"""Usage is booked for its first telling alone, whichever worker and whichever life of it relays the answer."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from proxy.id_register import IdRegister
from proxy.told_once import ToldOnce


def test_an_id_is_first_once_for_all_workers_and_lives(tmp_path: Path) -> None:
    path = tmp_path / "ids"
    with closing(IdRegister(path)) as one, closing(IdRegister(path)) as other:
        assert ToldOnce(one).is_first("openai", "resp_1")
        assert not ToldOnce(one).is_first("openai", "resp_1")
        assert not ToldOnce(other).is_first("openai", "resp_1")
        assert ToldOnce(other).is_first("openai", "resp_2")
    with closing(IdRegister(path)) as later:
        assert not ToldOnce(later).is_first("openai", "resp_2")


def test_ids_of_two_upstreams_do_not_meet(tmp_path: Path) -> None:
    with closing(IdRegister(tmp_path / "ids")) as register:
        assert ToldOnce(register).is_first("openai", "resp_1")
        assert ToldOnce(register).is_first("openrouter", "resp_1")
