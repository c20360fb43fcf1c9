"""Containers for the image tests: each with a deadline, and none left behind."""

import json
import shlex
import subprocess
import uuid
from collections.abc import Sequence
from functools import cache
from types import TracebackType
from typing import Any, Final

AMD64: Final = "localhost/visionedge:amd64"
ARM64: Final = "localhost/visionedge:arm64v8"
VERIFIER: Final = "localhost/verifier:amd64"
_COMMAND_S: Final = 60.0
_ASK: Final = """
import urllib.error, urllib.request
try:
    answer = urllib.request.urlopen({url!r}, timeout=5)
except urllib.error.HTTPError as error:
    answer = error
print(answer.read().decode())
"""


def podman(
    *words: str, timeout_s: float = _COMMAND_S, text: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run podman; killed for good after `timeout_s`.

    An emulated program may take no signal at all, so the end is left to `timeout -k`.
    """
    command = ["timeout", "-k", "10", f"{timeout_s:g}", "podman", *words]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=timeout_s + 30
    )
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\nended with {done.returncode}: {done.stderr}")
    return done


def inspect_image(image: str) -> dict[str, Any]:
    """What the image says of itself."""
    found: list[dict[str, Any]] = json.loads(podman("image", "inspect", image).stdout)
    return found[0]


@cache
def _splits_health_commands() -> bool:
    """podman 4.3 takes a health check as words for a shell, and no list."""
    version = podman("version", "--format={{.Client.Version}}").stdout
    return tuple(map(int, version.split(".")[:2])) < (4, 4)


def _understood(flag: str) -> str:
    """A flag as this podman understands it."""
    name, _, value = flag.partition("=")
    if name != "--health-cmd" or not _splits_health_commands():
        return flag
    _, *words = json.loads(value)
    return f"{name}=CMD-SHELL {shlex.join(words)}"


class Container:
    """A running container, from `with` to its end; removed whatever happened.

    Args:
        image: what runs.
        flags: of `podman run`.
        command: arguments of the image's entry point.
    """

    def __init__(self, image: str, flags: Sequence[str], command: Sequence[str] = ()) -> None:
        self.name = f"test-{uuid.uuid4().hex[:12]}"
        own = ("--detach", "--pull=never", f"--name={self.name}")
        self._words = ("run", *own, *map(_understood, flags), image)
        self._command = tuple(command)

    def __enter__(self) -> "Container":
        podman(*self._words, *self._command)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            error.add_note(f"the container's log:\n{self.log()[-6000:]}")
        podman("rm", "--force", "--time=0", self.name, check=False)

    def log(self) -> str:
        """All that it wrote."""
        done = podman("logs", self.name, check=False)
        return done.stdout + done.stderr

    def ask(self, script: str) -> str:
        """What a Python script prints that runs inside."""
        return podman("exec", self.name, "python", "-c", script).stdout

    def page(self, path: str) -> str:
        """A page of the module's own server, asked for from within; empty while it is not up.

        Whatever its status: what is unhealthy says why.
        """
        script = _ASK.format(url=f"http://127.0.0.1:9600{path}")
        done = podman("exec", self.name, "python", "-c", script, check=False)
        return done.stdout if done.returncode == 0 else ""

    def count(self, series: str) -> float:
        """The sum of a series over its labels; 0 where it is not there yet."""
        lines = [line for line in self.page("/metrics").splitlines() if not line.startswith("#")]
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in lines
            if line.partition("{")[0].partition(" ")[0] == series
        )

    def healthy(self) -> bool:
        """Run the health check once, as the container engine does at each interval."""
        return podman("healthcheck", "run", self.name, check=False).returncode == 0

    def state(self) -> dict[str, Any]:
        """`State` of its inspection: Status, ExitCode, Health."""
        found = json.loads(podman("inspect", self.name).stdout)[0]["State"]
        state: dict[str, Any] = found
        return state

    def health(self) -> str:
        """`starting`, `healthy` or `unhealthy`."""
        state = self.state()
        return str((state.get("Health") or state["Healthcheck"])["Status"])

    def python_pid(self) -> int:
        """The module's own process as this machine numbers it; the container's first is an init."""
        lines = podman("top", self.name, "hpid", "args").stdout.splitlines()[1:]
        [line] = [line for line in lines if line.split()[1].endswith("python")]
        return int(line.split()[0])

    def wait(self, timeout_s: float) -> int:
        """Its exit code, once it has ended."""
        return int(podman("wait", self.name, timeout_s=timeout_s).stdout)
