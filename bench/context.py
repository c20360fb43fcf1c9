"""What a benchmark is given: how long to measure, and the models, each made once a run."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from bench.report import Report, Table, Unavailable
from bench.subjects import Subject, prepare


@dataclass
class Context:
    """One run of `python -m bench`.

    Attributes:
        folder: scratch, gone after the run.
        roles: keys of `SUBJECTS`, in the order of the result.
        pairs: rounds of a comparison frame by frame.
        blocks: rounds of a comparison second by second.
        patience_s: how much longer each table may take while others keep the machine busy.
        quiet: no progress bars.
    """

    folder: Path
    roles: tuple[str, ...]
    pairs: int
    blocks: int
    patience_s: float
    quiet: bool = False
    _subjects: dict[str, Subject] = field(default_factory=dict)

    def subject(self, role: str) -> Subject:
        """The model of a role, loaded.

        Raises:
            Unavailable: it is not on this machine.
        """
        if role not in self._subjects:
            self._subjects[role] = prepare(role, self.folder)
        return self._subjects[role]

    def report(self, benchmark: str, table: Callable[[Subject], Table]) -> Report:
        """A table for each role; one that cannot be measured here is skipped with a word."""
        tables, skipped = [], []
        for role in self.roles:
            try:
                tables.append(table(self.subject(role)))
            except Unavailable as error:
                skipped.append(f"{role}: {error}")
        return Report(benchmark, tables, skipped)

    @contextmanager
    def progress(self, what: str, rounds: int) -> Iterator[Callable[[], object]]:
        """A bar on stderr; call it once a round."""
        with tqdm(
            total=rounds,
            desc=what,
            file=sys.stderr,
            leave=False,
            disable=self.quiet,
            mininterval=0.5,
        ) as bar:
            yield bar.update
