"""The module as edgeAgent would run it: its own process, its own log, restarted when it dies."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_RESTART_PAUSE_S: Final = 1.0


class ModuleRun:
    """Runs `python -m visionedge run` and keeps it running.

    Args:
        arguments: of `visionedge run`.
        environment: added to that of this process.
        folder: gets `module.log` and `summary.json`.
        status: whether the module prints a line a second.
    """

    def __init__(
        self,
        arguments: list[str],
        environment: Mapping[str, str],
        folder: Path,
        *,
        status: bool = True,
    ) -> None:
        self.log = folder / "module.log"
        self.restarts = 0
        self._summary = folder / "summary.json"
        self._summary.unlink(missing_ok=True)
        self._command = [
            sys.executable, "-m", "visionedge", "run", *(["--status"] if status else []),
            "--summary", str(self._summary), *arguments,
        ]  # fmt: skip
        self._environment = {**os.environ, **environment}
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        return self._process.pid

    def poll(self) -> int | None:
        """The exit code once the module has ended as it should; restarts it otherwise."""
        code = self._process.poll()
        if code is None or code == 0 or code == 2:
            return code
        print(f"the module ended with {code}; it starts again in {_RESTART_PAUSE_S:g} s")
        time.sleep(_RESTART_PAUSE_S)
        self.restarts += 1
        self._process = self._start()
        return None

    def stop(self, timeout_s: float) -> int:
        """SIGTERM, then SIGKILL after `timeout_s`; returns the exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def last_words(self) -> str:
        """The last line of its log, which is its reason where it ended by itself."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.strip()), "")

    def summary(self) -> dict[str, Any]:
        """What the module said of its run; empty where it did not come to it."""
        try:
            document = json.loads(self._summary.read_text(encoding="utf-8"))
        except OSError:
            return {}
        return dict(document)

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            # A session of its own, so that Ctrl-C reaches the module only through us.
            return subprocess.Popen(
                self._command, env=self._environment, stderr=log, start_new_session=True
            )
