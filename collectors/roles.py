"""What a stage is for: work, plan, route, coordinate, validate or aggregate.

Strongest evidence first: the call's own declaration, its stage's, the operator's configuration, then inference from the
stage's name, from the tools its models ask for, and from the verdicts it gives. Nothing known: ``work``, source
``none``, so that an unknown stage never raises the tax.

Choices: ``qa`` is read as quality assurance, ``summar*`` as aggregation (a pipeline whose product is a summary should
configure that stage as work), and of several telling words the last wins, as in English compounds: a plan reviewer
validates, a routing specialist works. A stage whose calls declare different roles is not a declaration for the others.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Literal

from collectors.records import CallRecord, Role, RoleSource

Line = Literal["retry", "route", "coordinate", "validate", "aggregate", "handoff", "work"]
Known = tuple[Role, RoleSource]

_UNKNOWN: Known = ("work", "none")
# Whole words and beginnings of words; a beginning ends with "*".
_WORDS: tuple[tuple[Role, str], ...] = (
    ("route", "route router routes routing triage triager triaging dispatch* handoff"),
    ("coordinate", "supervis* orchestrat* coordinat* manager conductor delegator"),
    (
        "validate",
        "validat* judge judges critic* critique* review* qa eval evals evaluat* verif* check checker checks guardrail*",
    ),
    ("aggregate", "aggregat* synthes* merge merger merging summar* combin* collator"),
    ("plan", "plan plans planner planning"),
    ("work", "worker* specialist* writer* researcher* coder* executor* developer* engineer*"),
)
_HANDOFF_TOOL = re.compile(
    r"(handoff-)?transfer_(back_)?to_\w*|handoff(_to_\w*)?|delegate_work_to_co-?worker|ask_question_to_co-?worker|task_\w+"
)
_HANDING_BACK = re.compile(r"(handoff-)?transfer_back_to_\w*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class RoleRules:
    """What the operator knows. ``configured`` pairs a stage name or glob pattern (``valid*``) with a role; an exact
    name wins over a pattern, then the earlier pattern. ``plan_counts_as`` says on which line planning stands;
    ``after_free_failure`` on which line a resend stands before which no attempt cost anything (a 429, a 500)."""

    configured: tuple[tuple[str, Role], ...] = ()
    plan_counts_as: Literal["work", "coordinate"] = "work"
    after_free_failure: Literal["retry", "role"] = "retry"

    @classmethod
    def of(cls, stages: Mapping[str, Role | None]) -> RoleRules:
        """Rules from a mapping of stage names or patterns; entries without a role say nothing."""
        return cls(tuple((name, role) for name, role in stages.items() if role is not None))

    @cached_property
    def _exact(self) -> dict[str, Role]:
        return dict(reversed(self.configured))

    def configured_role(self, stage: str) -> Role | None:
        """The role configured for a stage, or None."""
        if stage in self._exact:
            return self._exact[stage]
        return next((role for pattern, role in self.configured if fnmatchcase(stage, pattern)), None)

    def line(self, role: Role) -> Line:
        """The line of the receipt on which a first-pass call of this role stands."""
        return self.plan_counts_as if role == "plan" else role


def is_handoff_tool(name: str) -> bool:
    """Whether a tool of this name hands control to another agent, in the frameworks that are known to name it so
    (openai-agents, LangGraph, AutoGen, Semantic Kernel, CrewAI, ADK)."""
    return _HANDOFF_TOOL.fullmatch(_tool_name(name)) is not None


def role_in_name(stage: str) -> Role | None:
    """The role that the words of a stage's name tell, or None."""
    words = _WORD.findall(_CAMEL.sub(" ", stage).lower())
    return next((role for word in reversed(words) for role, telling in _WORDS if _tells(telling, word)), None)


def roles(calls: Sequence[CallRecord], rules: RoleRules) -> tuple[Known, ...]:
    """Each call's role and where that was learned. Tool calls have the role of the stage that made them."""
    by_stage: dict[str, list[CallRecord]] = defaultdict(list)
    for call in calls:
        by_stage[call.stage].append(call)
    known = {stage: _stage_role(stage, members, rules) for stage, members in by_stage.items()}
    return tuple(_declared(call) or known[call.stage] for call in calls)


def _declared(call: CallRecord) -> Known | None:
    if call.role is None:
        return None
    return call.role, "declared" if call.role_source == "none" else call.role_source


def _stage_role(stage: str, members: Sequence[CallRecord], rules: RoleRules) -> Known:
    declared = {call.role for call in members if call.role is not None and call.role_source != "configured"}
    if stage and len(declared) == 1:
        return declared.pop() or "work", "declared"
    configured = rules.configured_role(stage)
    if configured is not None:
        return configured, "configured"
    inferred = role_in_name(stage) or _role_in_tools(members) or _role_in_verdicts(members)
    return (inferred, "inferred") if stage and inferred else _UNKNOWN


def _role_in_tools(members: Iterable[CallRecord]) -> Role | None:
    """A stage whose models ask for nothing but handoffs routes (once) or coordinates (again and again).

    A coordinator may close with one answer of its own. A stage that only hands *back* has done some work before.
    """
    answers = [call for call in members if call.kind == "model" and call.outcome == "ok"]
    handing = [call for call in answers if call.emitted_tools]
    names = [_tool_name(name) for call in handing for name in call.emitted_tools]
    if not names or not all(map(is_handoff_tool, names)) or all(map(_HANDING_BACK.fullmatch, names)):
        return None
    plain = len(answers) - len(handing)
    if len(handing) == 1:
        return "route" if plain == 0 else None
    return "coordinate" if plain <= 1 else None


def _role_in_verdicts(members: Iterable[CallRecord]) -> Role | None:
    answers = [call for call in members if call.kind == "model" and call.outcome == "ok"]
    return "validate" if answers and all(call.verdict for call in answers) else None


def _tool_name(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _tells(telling: str, word: str) -> bool:
    return any(word.startswith(t[:-1]) if t.endswith("*") else word == t for t in telling.split())
