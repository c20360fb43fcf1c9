"""What goes wrong in a soak, one thing at a time, drawn from a seed.

Faults come from the behaviour table by the rows that tests and benchmarks use, so that all
switches of devhub have their turn. Each kind of mischief mends what it broke, sooner or
later, but nobody waits until the module has noticed.
"""

import hashlib
import json
import random
import time
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.patches import Patches
from devhub import ROWS, DevHub
from devhub.twin import merge

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLE: Final = Path("models/pcb-defects")
_FAULT_S: Final = (0.5, 4.0)
_METHODS: Final = ("captureNow", "flush", "recentEscalations", "status")
_QUICK_TRIAL: Final = {
    **{"shadow_frames": 5, "guard_frames": 5, "max_latency_ratio": 50, "canary_share": 0},
    **{"max_errors": 5, "min_agreement": 0.1, "max_bytes": 10**8, "timeout_s": 60},
}
LINE: Final = {"kind": "pattern", "url": None, "fps": 10}
_GONE: Final = {"kind": "stream", "url": "rtsp://127.0.0.1:9/x", "fps": None}
BASE: Final[dict[str, Any]] = {
    "cameras": {"line-1": LINE},
    "decision": {"accept": 0.7},
    "delivery": _QUICK_TRIAL,
}
"""What is desired while nothing is wrong, besides a model."""


class Mischief:
    """Does one thing after another, and counts what it did.

    Args:
        hub: the world.
        folder: for bundles.
        seed: decides what, when, and for how long.

    Attributes:
        counts: how often each thing happened.
        now: what happens at this moment.
    """

    def __init__(self, hub: DevHub, folder: Path, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.now = ""
        self._hub = hub
        self._rng = random.Random(seed)
        self._patches = Patches(seed)
        self._good = BASE
        self.bundles = [_bundle(folder / f"bundle-{n}.zip", n) for n in (2, 3)]
        self._actions: tuple[tuple[int, Callable[[], None]], ...] = (
            (8, self.fault),
            (5, self.good_patch),
            (7, self.hostile_patch),
            (3, self.model),
            (2, self.camera_away),
            (2, self.method),
        )

    def act(self) -> None:
        """Let one thing happen, and take a breath."""
        weights = [weight for weight, _ in self._actions]
        action = self._rng.choices([action for _, action in self._actions], weights)[0]
        self.now = action.__name__
        action()
        self.counts[action.__name__] += 1
        self.now = ""
        time.sleep(self._rng.uniform(0.2, 1.5))

    def fault(self) -> None:
        """A row of the behaviour table, for a few seconds."""
        name = self._rng.choice([*ROWS])
        self.now = name
        self.counts[name] += 1
        ROWS[name].begin(self._hub)
        time.sleep(self._rng.uniform(*_FAULT_S))
        ROWS[name].end(self._hub)
        # A peer that was reset is found out at once, one that only fell silent much later.
        if self._rng.random() < 0.5:
            self._hub.drop_links()

    def good_patch(self) -> None:
        """A few settings of a section; those of the last such patch go back."""
        models = {"models": self._good["models"]} if "models" in self._good else {}
        self._good = merge({**BASE, **models}, self._patches.good())
        self._hub.replace_desired(self._good)

    def hostile_patch(self) -> None:
        """What no operator would write; then the last good document again."""
        self._hub.patch_desired(self._patches.hostile())
        time.sleep(self._rng.uniform(0.0, 0.5))
        self._hub.replace_desired(self._good)

    def model(self) -> None:
        """Another bundle by address."""
        self.deliver(self._rng.choice(self.bundles))

    def camera_away(self) -> None:
        """The camera becomes one that nobody answers for, and comes back."""
        self._hub.patch_desired({"cameras": {"line-1": _GONE}})
        time.sleep(self._rng.uniform(0.5, 2))
        self._hub.patch_desired({"cameras": {"line-1": LINE}})

    def method(self) -> None:
        """Somebody asks for something, and does not wait for the answer."""
        self._hub.start_method(self._rng.choice(_METHODS), {})

    def deliver(self, bundle: tuple[Path, str]) -> None:
        """Desire a bundle."""
        model = {"uri": str(bundle[0]), "sha256": bundle[1]}
        self._good = merge(self._good, {"models": {"default": model}, "delivery": _QUICK_TRIAL})
        self._hub.replace_desired(self._good)

    def mend(self) -> int:
        """End every fault and desire what a quiet line has; returns the twin's version."""
        self._hub.clear_faults()
        self._hub.drop_links()
        quiet = {**BASE, "escalation": {"enabled": False}, "telemetry": {"interval_s": 2}}
        models = {"models": self._good["models"]} if "models" in self._good else {}
        return self._hub.replace_desired({**quiet, **models})


def _bundle(target: Path, version: int) -> tuple[Path, str]:
    """Our bundle as a zip, under another version, and its hash."""
    card = json.loads((BUNDLE / "model.json").read_text(encoding="utf-8"))
    card["version"] = str(version)
    with zipfile.ZipFile(target, "w") as bundle:
        for file in sorted(BUNDLE.rglob("*")):
            if file.is_file() and file.name != "model.json":
                bundle.write(file, f"pcb/{file.relative_to(BUNDLE)}")
        bundle.writestr("pcb/model.json", json.dumps(card))
    return target.absolute(), hashlib.sha256(target.read_bytes()).hexdigest()
