"""A contender that is a process of its own: started, watched until it says a word, and ended.

What starting, importing and remembering cost shows only in a fresh process. CPU time and
memory are read from /proc while it still lives, with those of the children it had.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from bench.load import cpu_s
from bench.report import Unavailable

ROOT: Final = Path(__file__).parents[1]
_END_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Used:
    """What a process has used so far.

    Attributes:
        wall_s: since it was started.
        cpu_s: of all its threads, and of children that have ended.
        rss_mb: memory now, MB.
        peak_mb: the most it ever had.
        line: the line of its output that ended the wait; empty where none was waited for.
    """

    wall_s: float
    cpu_s: float
    rss_mb: float
    peak_mb: float
    line: str = ""


class Child:
    """One child. Its output and its log are read here, its errors told if it dies.

    Args:
        arguments: behind the interpreter.
        environment: beside our own.
    """

    def __init__(
        self, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self._began = time.perf_counter()
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            text=True,
            start_new_session=True,
        )
        self._last: list[str] = []

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, by force if it will not."""
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.communicate()

    def until(self, word: str) -> Used:
        """Wait for a line that holds `word`.

        Raises:
            Unavailable: it ended without; its last lines say why.
        """
        for line in self._output:
            if word in line:
                return self.used(line.strip())
            self._last = [*self._last[-4:], line.strip()]
        raise Unavailable(f"a process ended early: {' | '.join(self._last) or 'without a word'}")

    def text(self) -> str:
        """All that it says until it ends.

        Raises:
            Unavailable: it failed; its last lines say why.
        """
        text = self._output.read()
        if self._child.wait(_END_S):
            lines = text.strip().splitlines()[-4:]
            raise Unavailable(f"a process failed: {' | '.join(lines) or 'without a word'}")
        return text

    def used(self, line: str = "") -> Used:
        """What it has used until now."""
        wall_s = time.perf_counter() - self._began
        folder = Path(f"/proc/{self._child.pid}")
        status = dict(
            text.split(":", 1)
            for text in (folder / "status").read_text(encoding="utf-8").splitlines()
            if ":" in text
        )
        return Used(
            wall_s,
            cpu_s(self._child.pid),
            _mb(status["VmRSS"]),
            _mb(status["VmHWM"]),
            line,
        )

    @property
    def _output(self) -> IO[str]:
        if self._child.stdout is None:
            raise Unavailable("a process has no output")
        return self._child.stdout


def _mb(text: str) -> float:
    """Of `1234 kB`."""
    return int(text.split()[0]) * 1024 / 1e6
