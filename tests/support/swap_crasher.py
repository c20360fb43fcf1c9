"""A module that is given a new bundle, and killed right before its nth change of the disk.

    python -m tests.support.swap_crasher FOLDER BUNDLE SHA256 NTH

Only what is on the disk outlasts a power cut, so the steps of a swap are the changes of the
disk: files opened for writing, renamed and removed, folders made and removed, as Python's
audit hook tells them. The spool and the outbox are left out: they have tests of their own. Each
step is told before it is done. NTH is 0 for a process that is not killed; it ends by itself
when the new bundle is active.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.hub_fake import FakeHub
from tests.support.running import busy_line, wait_until

from visionedge import linkup
from visionedge.app import App
from visionedge.delivery.slots import SlotStore

_PATIENCE_S = 120.0
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
_OTHERS = ("spool.db", "outbox", "egress", "pauses", "desired.last-good")


def say(*words: str) -> None:
    """One write call, so that a kill cannot cut a line."""
    os.write(1, (" ".join(words) + "\n").encode())


def hook(folder: Path, nth: int) -> Callable[[str, tuple[Any, ...]], None]:
    """Counts the steps below `folder`, and kills this process before the nth."""
    count, lock = 0, threading.Lock()

    def audit(event: str, given: tuple[Any, ...]) -> None:
        nonlocal count
        if event not in _EVENTS or not isinstance(given[0], str | bytes | os.PathLike):
            return
        path = os.fsdecode(given[0])
        if not path.startswith(str(folder)) or any(name in path for name in _OTHERS):
            return
        if event == "os.mkdir" and Path(path).is_dir():
            return
        if event == "open" and not (isinstance(given[2], int) and given[2] & _WRITES):
            return
        with lock:
            count += 1
            say("step", str(count), event, Path(path).name)
            if count == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    return audit


def main(folder: Path, bundle: Path, sha256: str, nth: int) -> None:
    """Run until the bundle is active, or until killed."""
    hub = FakeHub()
    hub.desired = {"models": {"default": {"uri": str(bundle), "sha256": sha256}}}
    linkup.choose = lambda *_: hub  # type: ignore[attr-defined]
    rules: dict[str, float] = {
        "shadow_frames": 2,
        "guard_frames": 2,
        "min_agreement": 0,
        "max_latency_ratio": 1000,
    }
    rules |= {"canary_share": 1.0, "canary_s": 0.1}
    store = SlotStore(folder / "delivered")
    active = store.slots("default").active
    say("found", active or "-", str(store.has("default", active)))
    sys.addaudithook(hook(folder, nth))
    app = App([busy_line(folder, delivery=rules)], environment={})
    app.start()
    say("runs", app.lineup.models["default"].card.version)
    decided = "visionedge_frames_processed_total"
    wait_until(lambda: app.metrics.value(decided) > 2, "frames", _PATIENCE_S)
    say("works")
    wait_until(
        lambda: store.slots("default").active == sha256 and not app.lineup.trials,
        "the new bundle", _PATIENCE_S,
    )  # fmt: skip
    say("active", app.lineup.models["default"].card.version)
    app.stop(3)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
