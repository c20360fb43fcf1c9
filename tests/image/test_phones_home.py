"""onnxruntime looks nothing up and writes nothing down.

Its Linux wheels report to their maker unless told not to (1.29 and later). Here the system
calls of the image's own files are watched, outside of any container, with an empty network
and an empty home, and without `CI` in the environment, which would keep it quiet as well.
That the watch can see it is shown by letting it.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.image.conftest import MODULE_USER
from tests.image.podman import AMD64, inspect_image, podman

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
LOOK_UP = re.compile(r'(connect|sendto)\(.*(sin_port=htons\(53\)|sin_addr=inet_addr\("(?!127\.))')
RESOLVER = re.compile(r'openat\(.*"/etc/(resolv\.conf|hosts)"')


@dataclass(frozen=True, slots=True)
class Seen:
    """What a program did that a reporting one does."""

    looked_up: list[str]
    left_at_home: list[str]


@contextmanager
def writable_root(image: str, home: Path) -> Iterator[Path]:
    """The image's files with a new home, apart from the image, so that nothing in it changes."""
    name = podman("create", "--pull=never", "--network=none", image).stdout.strip()
    root = Path(podman("mount", name).stdout.strip())
    try:
        inside = root / home.relative_to("/")
        inside.mkdir(parents=True)
        os.chown(inside, MODULE_USER, MODULE_USER)
        yield root
    finally:
        podman("rm", "--force", name)


def watched(root: Path, log: Path, environment: dict[str, str], *words: str) -> Seen:
    """Run `words` in `root` as the module's user, with no network, under strace."""
    trace = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,openat,mkdir", "-o", str(log)]
    user = f"--userspec={MODULE_USER}:{MODULE_USER}"
    command = ["unshare", "--net", *trace, "chroot", user, str(root), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    calls = log.read_text(errors="replace").splitlines()
    assert len(calls) > 100
    home = root / environment["HOME"].lstrip("/")
    return Seen(
        [call for call in calls if LOOK_UP.search(call) or RESOLVER.search(call)],
        sorted(str(path.relative_to(home)) for path in home.rglob("*")),
    )


def image_environment() -> dict[str, str]:
    """What the image sets, and a home that is there and empty."""
    pairs = dict(pair.split("=", 1) for pair in inspect_image(AMD64)["Config"]["Env"])
    return {**pairs, "HOME": "/home/module", "VISIONEDGE__SPOOL__PATH": "/home/spool.db"}


# It reports from a thread of its own, some time after the first session.
INFER = (
    "import os, threading, onnxruntime as o\n"
    "session = o.InferenceSession('/app/models/pcb-defects/model.onnx')\n"
    "pause = threading.Event()\n"
    "any(pause.wait(0.5) or os.listdir(os.environ['HOME']) for _ in range(30))"
)


def test_onnxruntime_left_alone_is_seen_to_report(tmp_path: Path) -> None:
    environment = image_environment()
    del environment["ORT_DISABLE_TELEMETRY"]
    with writable_root(AMD64, Path("/home/module")) as root:
        seen = watched(root, tmp_path / "trace", environment, "python", "-c", INFER)
    assert seen.looked_up or seen.left_at_home


@pytest.mark.parametrize("from_the_image", [True, False], ids=["image and code", "code alone"])
def test_the_module_s_onnxruntime_reports_nothing(tmp_path: Path, from_the_image: bool) -> None:
    environment = image_environment()
    if not from_the_image:
        del environment["ORT_DISABLE_TELEMETRY"]
    with writable_root(AMD64, Path("/home/module")) as root:
        line = ("python", "-m", "visionedge", "predict", "--model", "/app/models/pcb-defects")
        pictures = "/app/models/pcb-defects/golden"
        seen = watched(root, tmp_path / "trace", environment, *line, "--json", pictures)
    assert seen == Seen([], [])
