"""Whose answer a prompt brings."""

from __future__ import annotations

from collectors.answers import Answers
from collectors.threads import threads
from collectors.timeline import timeline
from tests.story import model, say

WORD = say("assistant", "yes", size=3)


def test_the_later_of_two_equal_answers_is_taken() -> None:
    line = timeline(
        [
            model("a", "one", 0, 5, blocks=(say("user", "p?"),), outputs=(WORD,)),
            model("b", "two", 10, 5, blocks=(say("user", "q?"),), outputs=(WORD,)),
            model("c", "three", 20, 5, blocks=(WORD,)),
        ]
    )
    answers = Answers(line, threads(line))
    answers.keep(0)
    assert answers.brought(2) == [0]
    answers.keep(1)
    assert answers.brought(2) == [1]


def test_a_growing_history_brings_nothing_twice() -> None:
    start = (say("user", "q"), say("assistant", "p"))
    worker = model("w", "worker", 10, 5, outputs=(WORD,))
    first = model("a", "boss", 0, 5, blocks=start[:1], outputs=start[1:])
    second = model("b", "boss", 20, 5, blocks=(*start, WORD), outputs=(say("assistant", "o"),))
    third = model("c", "boss", 30, 5, blocks=(*start, WORD, say("assistant", "o"), say("user", "n")))
    redated = model("d", "boss", 40, 5, blocks=(say("system", "Tuesday"), *third.blocks, say("user", "m")))
    line = timeline([first, worker, second, third, redated])
    answers = Answers(line, threads(line))
    for ended in range(4):
        answers.keep(ended)
    assert [answers.brought(i) for i in range(2, 5)] == [[1], [], []]


def test_an_empty_answer_reaches_nobody() -> None:
    line = timeline(
        [model("a", "one", 0, 5, outputs=(say("assistant", ""),)), model("b", "two", 10, 5, blocks=(say("user", ""),))]
    )
    answers = Answers(line, threads(line))
    answers.keep(0)
    assert answers.brought(1) == []
