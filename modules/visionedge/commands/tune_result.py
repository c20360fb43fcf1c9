"""What `visionedge tune` found for one model: as a table, a picture, JSON, and a patch."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Final

from visionedge.commands.plots import bars
from visionedge.entities import Image
from visionedge.evaluation.tuning import Contest, Goal, Measured, Way
from visionedge.inference.card import Document
from visionedge.runtime.cores import cores

PRESENT: Final = "as it is"
"""Name of the file that is in use."""
_CLEAR_GAIN: Final = 1.03
"""Of another file or provider over the best way of the present one; less is not worth a change."""


class Result:
    """One contest, judged.

    Args:
        name: of the model in the settings.
        contest: measured.
        goal: what to be best at.
        present: name of the ways of the file that is in use.
        sizes: fields of its card for each way that is named after another size.
    """

    def __init__(
        self, name: str, contest: Contest, goal: Goal, present: str, sizes: Mapping[str, Document]
    ) -> None:
        self._name = name
        self._contest = contest
        self._goal = goal
        self._present = present
        self._sizes = sizes

    @cached_property
    def chosen(self) -> Measured:
        """The best way of the present file on its present provider."""
        base = self._contest.base.way
        own = [
            each
            for each in self._contest.results
            if each.way.name == self._present and each.way.provider == base.provider
        ]
        return self._contest.best(own)

    @cached_property
    def _better(self) -> Way | None:
        """Another file, size or provider that is clearly better."""
        top, base = self._contest.best(self._contest.results), self._contest.base
        gain = top.gain(base, self._goal) / self.chosen.gain(base, self._goal)
        return None if top is self.chosen or gain < _CLEAR_GAIN else top.way

    @cached_property
    def patch(self) -> Document | None:
        """A patch for the twin where another file or provider is clearly better."""
        better, base = self._better, self._contest.base.way
        patch: Document = {}
        if better and better.provider != base.provider:
            patch["providers"] = [better.provider, base.provider]
        if better and better.path:
            patch["path"] = better.path
        return {"models": {self._name: patch}} if patch else None

    @cached_property
    def card(self) -> Document | None:
        """Fields of the model's card where another size is clearly better."""
        better = self._better
        return None if better is None or better.path else self._sizes.get(better.name)

    def document(self) -> dict[str, Any]:
        """All figures."""
        return {
            "model": self._name,
            "goal": self._goal,
            "cores": cores(),
            "chosen": str(self.chosen.way),
            "ways": [self._row(each) for each in self._contest.results],
            "patch": self.patch,
            "card": self.card,
        }

    def table(self) -> Iterator[str]:
        """For a terminal, the best first."""
        rows = [(self._row(each), each) for each in self._contest.results]
        width = max(len(row["way"]) for row, _ in rows)
        yield (
            f"{self._name}: {self._goal} on {cores()} cores; gain is over the present way, "
            "in the same rounds"
        )
        yield f"{'':{width}} {'frames/s':>9} {'ms':>8} {'p95 ms':>8} {'CPU ms':>8} {'gain':>7}"
        for row, each in sorted(rows, key=lambda pair: -pair[0]["gain"]):
            yield (
                f"{row['way']:{width}} {row['frames_per_s']:>9.1f} {row['latency_ms']:>8.2f} "
                f"{row['p95_ms']:>8.2f} {row['cpu_ms']:>8.2f} {row['gain']:>7.3f}"
                f"  {self._marks(each)}"
            ).rstrip()

    def plot(self) -> Image:
        """A bar a way."""
        ways = sorted(self._contest.results, key=self._gain, reverse=True)
        title = f"{self._name}: {self._goal}; 1 is the present way"
        return bars(title, [(str(each.way), self._gain(each)) for each in ways])

    def _gain(self, each: Measured) -> float:
        return each.gain(self._contest.base, self._goal)

    def _marks(self, each: Measured) -> str:
        marks = {
            "present": each is self._contest.base,
            "chosen": each is self.chosen,
            f"left out after {len(each.turns)} rounds": each.dropped,
        }
        return ", ".join(word for word, holds in marks.items() if holds)

    def _row(self, each: Measured) -> dict[str, Any]:
        return {
            "way": str(each.way),
            "workers": each.way.workers,
            "threads": each.way.threads,
            "spin": each.way.spin,
            "frames_per_s": round(1 / each.median("frame_s"), 2),
            "latency_ms": round(1000 * each.median("latency_s"), 2),
            "p95_ms": round(1000 * each.median("tail_s"), 2),
            "cpu_ms": round(1000 * each.median("cpu_s"), 2),
            "gain": round(self._gain(each), 3),
            "rounds": len(each.turns),
        }
