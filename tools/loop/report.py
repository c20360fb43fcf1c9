"""What came of it: a line an escalation, the totals, and what did not hold."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from loop.bridge import LINE
from loop.journal import Step, Story
from verifier.ledger import State

_TAIL: Final = 6
_WIDTH: Final = 10


@dataclass(frozen=True, slots=True)
class Run:
    """What is judged.

    Attributes:
        spoiled: Messages sent that can never be answered.
        dead: Messages that the workers set aside, by reason.
        still_open: Cases that the ledger has as not at their end.
        in_flight: Calls of killed workers that nobody may have heard the answer of, at most.
        calls: Of the Vision API, by how they ended.
        module_lost: Escalations that the module gave up.
        passed_by: Messages that the route left out.
        unseen: Escalations that came to the hub and went no further.
        exits: Exit codes of the workers that were not killed, by name.
    """

    stories: Sequence[Story]
    spoiled: int
    dead: dict[str, int]
    still_open: int
    calls: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    module_lost: int = 0
    passed_by: int = 0
    unseen: int = 0
    exits: dict[str, int] = field(default_factory=dict)

    @property
    def paid(self) -> int:
        """Calls that were charged."""
        return self.calls["answered"]

    @property
    def paid_again(self) -> int:
        """Calls for an escalation that one was paid for before."""
        return sum(max(0, story.paid - 1) for story in self.stories)

    @property
    def faults(self) -> list[str]:
        """What did not hold; empty where all did."""
        wrong = [
            f"{story.id}: the ledger says {story.state or 'nothing'}"
            for story in self.stories
            if not story.is_ended
        ]
        wrong += [
            f"{story.id}: {story.state}, but merged {story.results['merged']} times by the module"
            for story in self.stories
            if story.results["merged"] != (story.state == State.DELIVERED)
        ]
        rules = {
            "no escalation came from the line": not any(s.origin == LINE for s in self.stories),
            f"{self.paid} calls were paid for {len(self.stories)} escalations": (
                self.paid > len(self.stories) + self.in_flight
            ),
            f"{self.paid_again} calls were paid again": self.paid_again > self.in_flight,
            f"{self.spoiled} messages were spoiled, and {self.dead} set aside": (
                sum(self.dead.values()) != self.spoiled
            ),
            f"the ledger lists {self.still_open} cases as open": self.still_open > 0,
            f"{self.unseen} escalations came to the hub and went no further": self.unseen > 0,
            f"the module lost {self.module_lost} escalations": self.module_lost > 0,
            f"workers ended with {self.exits}": any(self.exits.values()),
        }
        return wrong + [what for what, is_so in rules.items() if is_so]


def timeline(stories: Sequence[Story]) -> str:
    """A line an escalation: milliseconds from the capture of its frame, and how it ended."""
    steps = [step for step in Step if step is not Step.CAPTURED]
    head = "".join(f"{step:>{_WIDTH}}" for step in steps)
    lines = [f"{'escalation':<12}{head}   ended      copies  paid"]
    for story in stories:
        times = "".join(f"{_ms(story, step):>{_WIDTH}}" for step in steps)
        ended = story.state + (f" ({story.reason})" if story.reason else "")
        lines.append(f"{_short(story):<12}{times}   {ended:<9}  {story.copies:>6}  {story.paid:>4}")
    return "\n".join(lines)


def totals(run: Run) -> str:
    """What happened, in numbers."""
    states = Counter(story.state for story in run.stories)
    copies = sum(max(0, story.copies - 1) for story in run.stories)
    faults = ", ".join(f"{k} {n}" for k, n in sorted(run.calls.items()) if k != "answered")
    lines = {
        "escalations": f"{len(run.stories)} distinct, beside {run.passed_by} other messages",
        "delivered": f"{states[State.DELIVERED]}, each merged once by the module",
        "duplicates dropped": f"{copies}",
        "expired": f"{states[State.EXPIRED]}",
        "poison": f"{sum(run.dead.values())}"
        + (f" ({', '.join(f'{k} {n}' for k, n in sorted(run.dead.items()))})" if run.dead else ""),
        "paid calls": f"{run.paid}"
        + (f", {run.paid_again} again after the kill" if run.in_flight else ""),
        "faults of the API": faults or "none",
    }
    return "\n".join(f"{name:>20}  {text}" for name, text in lines.items())


def _ms(story: Story, step: Step) -> str:
    when, began = story.at.get(step), story.at.get(Step.CAPTURED)
    return f"{(when - began).total_seconds() * 1000:.0f}" if when and began else "-"


def _short(story: Story) -> str:
    return story.id[-_TAIL:] if story.origin == LINE else f"…{story.id[-_TAIL:]}"
