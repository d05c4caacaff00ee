"""Roles: what wins over what, and which names and habits tell a role."""

from __future__ import annotations

import pytest

from collectors.records import Role
from collectors.roles import RoleRules, is_handoff_tool, role_in_name, roles
from tests.story import RULES, model, tool


@pytest.mark.parametrize(
    ("stage", "role"),
    [
        ("router", "route"),
        ("intent-triage", "route"),
        ("TicketDispatcher", "route"),
        ("validator", "validate"),
        ("llm_judge", "validate"),
        ("codeReviewer", "validate"),
        ("qa", "validate"),
        ("evaluation_2", "validate"),
        ("synthesizer", "aggregate"),
        ("merge-results", "aggregate"),
        ("summary", "aggregate"),
        ("supervisor", "coordinate"),
        ("Orchestrator", "coordinate"),
        ("planner", "plan"),
        ("billing specialist", "work"),
        ("researcher-3", "work"),
        # The last telling word is what the stage is, the ones before say of what.
        ("plan_reviewer", "validate"),
        ("routing_specialist", "work"),
    ],
)
def test_a_name_tells_a_role(stage: str, role: Role) -> None:
    assert role_in_name(stage) == role


@pytest.mark.parametrize("stage", ["", "billing", "preview", "routine", "planet", "qatar", "management", "step-1"])
def test_a_name_tells_nothing(stage: str) -> None:
    assert role_in_name(stage) is None


@pytest.mark.parametrize(
    "name",
    [
        "transfer_to_billing",
        "transfer_back_to_supervisor",
        "handoff_to_writer",
        "Handoff-transfer_to_refunds",
        "transfer_to_agent",
        "handoff",
        "Delegate work to coworker",
        "ask_question_to_coworker",
        "task_researcher",
    ],
)
def test_a_handoff_tool_is_known_by_name(name: str) -> None:
    assert is_handoff_tool(name)


@pytest.mark.parametrize("name", ["search", "transfer_money", "bank_transfer_to", "handoffs", "multitask_x"])
def test_other_tools_are_no_handoffs(name: str) -> None:
    assert not is_handoff_tool(name)


def test_declared_wins_over_configured_wins_over_inferred() -> None:
    calls = [
        model("a", "router", 0, 1, role="work", role_source="declared"),
        model("b", "reviewer", 2, 1),
        model("c", "validator", 4, 1),
        model("d", "billing", 6, 1),
    ]
    rules = RoleRules.of({"router": "coordinate", "review*": "aggregate", "billing": None})
    assert roles(calls, rules) == (
        ("work", "declared"),
        ("aggregate", "configured"),
        ("validate", "inferred"),
        ("work", "none"),
    )


def test_an_exact_name_wins_over_an_earlier_pattern() -> None:
    rules = RoleRules.of({"valid*": "validate", "valid-orders": "work"})
    assert rules.configured_role("valid-orders") == "work"
    assert rules.configured_role("validity") == "validate"
    assert rules.configured_role("invalid") is None


def test_a_stage_declared_once_is_declared_for_its_other_calls_and_tools() -> None:
    calls = [model("a", "desk", 0, 1, role="route"), tool("t", "desk", 2, 1), model("b", "desk", 4, 1)]
    assert roles(calls, RULES) == (("route", "declared"),) * 3


def test_contradicting_declarations_hold_for_their_own_calls_only() -> None:
    calls = [model("a", "desk", 0, 1, role="route"), model("b", "desk", 2, 1, role="work"), model("c", "desk", 4, 1)]
    assert roles(calls, RULES) == (("route", "declared"), ("work", "declared"), ("work", "none"))


def test_calls_without_a_stage_share_no_role() -> None:
    calls = [model("a", "", 0, 1, role="route"), model("b", "", 2, 1)]
    assert roles(calls, RULES) == (("route", "declared"), ("work", "none"))


def test_one_that_only_hands_over_routes_and_again_and_again_coordinates() -> None:
    once = [model("a", "desk", 0, 1, emitted_tools=("transfer_to_billing",))]
    often = [*once, model("b", "desk", 2, 1, emitted_tools=("transfer_to_refunds",)), model("c", "desk", 4, 1)]
    assert roles(once, RULES) == (("route", "inferred"),)
    assert roles(often, RULES) == (("coordinate", "inferred"),) * 3


@pytest.mark.parametrize(
    "emitted",
    [
        [("transfer_to_billing",), ("search",)],  # works too
        [("transfer_back_to_supervisor",)],  # has done its work
        [("transfer_to_billing",), ()],  # handed over once, answered once: a peer
        [()],
    ],
)
def test_one_that_does_more_than_hand_over_works(emitted: list[tuple[str, ...]]) -> None:
    calls = [model(f"c{i}", "desk", i, 1, emitted_tools=names) for i, names in enumerate(emitted)]
    assert {role for role, _ in roles(calls, RULES)} == {"work"}


def test_one_whose_every_answer_is_a_verdict_validates() -> None:
    judge = [model("a", "desk", 0, 1, verdict="fail"), model("b", "desk", 2, 1, verdict="pass")]
    assert roles(judge, RULES) == (("validate", "inferred"),) * 2
    assert roles([*judge, model("c", "desk", 4, 1)], RULES) == (("work", "none"),) * 3


def test_planning_counts_as_work_unless_configured() -> None:
    assert RULES.line("plan") == "work"
    assert RoleRules(plan_counts_as="coordinate").line("plan") == "coordinate"
    assert RULES.line("validate") == "validate"
