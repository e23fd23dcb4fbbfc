"""What a plan is made of: steps, and their keys."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from wizard.plan.actions import Action, CloudAction


@dataclass(frozen=True, slots=True)
class Step:
    """One piece of a build.

    `inputs` name what the actions depend on beside their own text: the digest of a kernel file, a program's version.
    `after` names steps that must have ended well before this one begins, and that give it nothing: they are no part of
    its key.  A step that is not `kept` is done again at every start, because what it found out may no longer be true.
    """

    id: str
    title: str
    why: str
    actions: tuple[Action, ...]
    needs: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    kept: bool = True
    after: tuple[str, ...] = ()

    @property
    def waits_for(self) -> tuple[str, ...]:
        """The steps that must have ended well before this one begins."""
        return (*self.needs, *self.after)

    @property
    def in_cloud(self) -> bool:
        """Whether the step speaks to AWS."""
        return any(isinstance(action, CloudAction) for action in self.actions)


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in an order in which they can be run."""

    name: str
    steps: tuple[Step, ...]
    epoch: int

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for step in self.steps:
            if missing := set(step.waits_for) - seen:
                raise ValueError(f"step {step.id} needs {sorted(missing)}, which no step before it makes")
            seen.add(step.id)

    def step(self, step_id: str) -> Step:
        """The step with that id."""
        return next(step for step in self.steps if step.id == step_id)

    def keys(self) -> dict[str, str]:
        """The key of every step: a hash of its actions, its inputs and the keys of the steps that it needs.

        A step that is not kept has no result that another could depend on: it only comes before.
        """
        keys: dict[str, str] = {}
        kept = {step.id for step in self.steps if step.kept}
        for step in self.steps:
            facts = {
                "id": step.id,
                "actions": [_keyed(action) for action in step.actions],
                "inputs": dict(sorted(step.inputs.items())),
                "needs": [keys[need] for need in step.needs if need in kept],
                "epoch": self.epoch,
            }
            keys[step.id] = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        return keys

    def until(self, step_id: str) -> "Plan":
        """The plan that leads to one step: that step and all that it needs."""
        wanted = {step_id}
        for step in reversed(self.steps):
            if step.id in wanted:
                wanted |= set(step.waits_for)
        return Plan(self.name, tuple(step for step in self.steps if step.id in wanted), self.epoch)


def action_as_dict(action: Action) -> dict[str, Any]:
    """An action as plain data, with its kind."""
    return {"action": _kind(action), **asdict(action)}


def _keyed(action: Action) -> dict[str, Any]:
    """What of an action decides on its result."""
    unkeyed: frozenset[str] = getattr(action, "UNKEYED", frozenset())
    return {name: value for name, value in action_as_dict(action).items() if name not in unkeyed}


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """The plan as data, for `plan --json`."""
    keys = plan.keys()
    return {
        "name": plan.name,
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "why": step.why,
                "needs": list(step.needs),
                "after": list(step.after),
                "key": keys[step.id],
                "inputs": dict(step.inputs),
                "actions": [action_as_dict(action) for action in step.actions],
            }
            for step in plan.steps
        ],
    }


def _kind(action: Action) -> str:
    name = type(action).__name__
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")
