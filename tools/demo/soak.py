"""`make soak`: everything that goes wrong, at random, for as long as you like, then the sum.

The module runs as its own process against devhub, with verdicts. Every second or two
something happens: a fault of the hub or the network, a patch that is good or hostile, a new
model by address, a camera that goes away. At the end everything is mended, and then three
things must hold: the ledger of the spool adds up and the hub has what it says, memory is
flat, and the twin tells the truth about the last patch. The seed is printed: the same one
does the same things in the same order.
"""

import argparse
import contextlib
import hashlib
import json
import random
import shutil
import sys
import time
import zipfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from demo.module import ModuleRun
from demo.oracle import LineOracle
from devhub import DevHub
from devhub.errors import WaitTimeout
from devhub.verifier import Verifier
from visionedge.metrics import Metrics
from visionedge.settings import PatternCamera, Settings
from visionedge.uplink.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

_SETTLE_S: Final = 180.0
_WARM: Final = 0.3
"""Share of the run after which memory should not grow any more."""
_GROWTH: Final = 1.25
_SPARE_BYTES: Final = 48 * 1024**2
_BUNDLE: Final = Path("models/pcb-defects")
_HOSTILE: Final[tuple[Any, ...]] = (
    None, True, -1, 2**60, 1e300, "", "x" * 5000, "\x00", [], {}, [[]], {"a": {"b": None}},
    "rtsp://u:pw@h/x", "${env:NOBODY}", "../../etc/passwd",
)  # fmt: skip


class Soak:
    """What happens, and how often each thing did.

    Args:
        hub: the world.
        folder: for bundles.
        rng: decides.
    """

    def __init__(self, hub: DevHub, folder: Path, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self._hub = hub
        self._rng = rng
        self._bundles = [_bundle(folder / f"bundle-{n}.zip", n) for n in (2, 3)]
        self._actions: tuple[tuple[int, Callable[[], None]], ...] = (
            (6, self.fault),
            (4, self.drop),
            (2, self.cut),
            (6, self.good_patch),
            (6, self.hostile_patch),
            (2, self.model),
            (2, self.camera_away),
            (3, self.capture),
        )

    def warm_up(self) -> None:
        """Load each bundle once: what a second model takes is no growth."""
        for bundle in self._bundles:
            self._deliver(bundle)
            with contextlib.suppress(WaitTimeout):
                self._hub.wait(partial(self._is_active, bundle[1]), 60)

    def _is_active(self, sha256: str) -> bool:
        bundles: Any = self._hub.reported.get("model", {})
        return f'"active": "{sha256[:16]}"' in json.dumps(bundles)

    def act(self) -> None:
        """Let one thing happen."""
        weights = [weight for weight, _ in self._actions]
        action = self._rng.choices([action for _, action in self._actions], weights)[0]
        self.counts[action.__name__] += 1
        action()

    def fault(self) -> None:
        """A fault of the hub, for a few seconds."""
        name, value = self._rng.choice(
            [
                ("latency_s", 0.2), ("puback_delay_s", 1.0), ("drop_at_publish", 2),
                ("lose_puback", 1), ("connack_code", 3), ("connack_code", 5),
                ("workload_error", True), ("silent_cloud", True), ("reorder_patches", 2),
                ("uplink_bytes_per_s", 60_000),
            ]
        )  # fmt: skip
        self._hub.set_faults(**{name: value})
        time.sleep(self._rng.uniform(0.5, 3))
        self._hub.clear_faults()

    def drop(self) -> None:
        """Every link is cut and may come back at once."""
        self._hub.drop_links()

    def cut(self) -> None:
        """The hub is away."""
        self._hub.cut()
        time.sleep(self._rng.uniform(1, 6))
        self._hub.restore()

    def good_patch(self) -> None:
        """A change of thresholds."""
        accept = round(self._rng.uniform(0.3, 0.95), 3)
        self._hub.patch_desired({"decision": {"accept": accept}, "junk": None})

    def hostile_patch(self) -> None:
        """A field of the settings with a value that it does not take."""
        section = self._rng.choice(sorted(Settings.model_fields))
        value = self._rng.choice(_HOSTILE)
        if section not in ("cameras", "models"):
            self._hub.patch_desired({section: {"junk": value}})
            self._hub.patch_desired({section: {"junk": None}})
        self._hub.patch_desired({"junk": {"of": value}})
        self._hub.patch_desired({"junk": None})

    def model(self) -> None:
        """Another bundle by address."""
        self._deliver(self._rng.choice(self._bundles))

    def _deliver(self, bundle: tuple[Path, str]) -> None:
        model = {"uri": str(bundle[0]), "sha256": bundle[1]}
        rules = {"shadow_frames": 5, "guard_frames": 5, "max_latency_ratio": 50}
        self._hub.patch_desired({"models": {"default": model}, "delivery": rules})

    def camera_away(self) -> None:
        """The camera is one that nobody answers for, and comes back."""
        gone = {"kind": "stream", "url": "rtsp://127.0.0.1:9/x", "fps": None}
        self._hub.patch_desired({"cameras": {"line-1": gone}})
        time.sleep(self._rng.uniform(0.5, 2))
        self.camera_back()

    def camera_back(self) -> None:
        """The virtual line again."""
        back = {"kind": "pattern", "url": None, "fps": 10}
        self._hub.patch_desired({"cameras": {"line-1": back}})

    def capture(self) -> None:
        """Somebody asks for a frame."""
        self._hub.start_method("captureNow", {})


def main(argv: list[str] | None = None) -> int:
    """Run the soak; returns 0 where all held."""
    args = _parser().parse_args(argv)
    folder: Path = args.folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"soak for {args.seconds:g} s, seed {args.seed}, in {folder}", flush=True)
    camera = PatternCamera(fps=10, defect_rate=4)
    with DevHub() as hub, Verifier(hub, LineOracle("line-1", camera), delay_s=0.5):
        soak = Soak(hub, folder, random.Random(args.seed))
        module = ModuleRun(["--grace", "5"], _environment(hub, folder, camera), folder)
        memory = _run(soak, module, args.seconds)
        faults = _settle(soak, hub, module)
        memory.append(_memory_bytes(module.pid))
        restarts = module.restarts
        module.stop(10)
        faults += _ledger_faults(hub, folder) + _memory_faults(memory)
        faults += [f"the module was restarted {restarts} times"] if restarts else []
    print(f"happened: {', '.join(f'{name} {n}' for name, n in sorted(soak.counts.items()))}")
    for fault in faults:
        print(f"FAULT: {fault}")
    print("soak: " + ("failed" if faults else "all held"), flush=True)
    return 1 if faults else 0


def _run(soak: Soak, module: ModuleRun, seconds: float) -> list[int]:
    """Let things happen; returns the module's memory over time, from when it is warm."""
    soak.warm_up()
    began, memory = time.monotonic(), []
    while (ran_s := time.monotonic() - began) < seconds:
        module.poll()
        soak.act()
        time.sleep(1)
        if ran_s > seconds * _WARM:
            memory.append(_memory_bytes(module.pid))
    return memory


def _settle(soak: Soak, hub: DevHub, module: ModuleRun) -> list[str]:
    """Mend everything, and wait until the module has caught up; what it did not catch up with."""
    hub.clear_faults()
    hub.restore()
    soak.camera_back()
    version = hub.patch_desired({"junk": None, "escalation": {"enabled": False}})
    deadline_s = time.monotonic() + _SETTLE_S
    wrong = ["nothing was looked at"]
    while wrong and time.monotonic() < deadline_s:
        module.poll()
        time.sleep(1)
        wrong = _behind(hub, version)
    return wrong


def _behind(hub: DevHub, version: int) -> list[str]:
    wrong = []
    for section in ("decision", "escalation", "cameras"):
        answer = hub.reported.get(section)
        if isinstance(answer, dict) and (answer.get("av"), answer.get("ac")) != (version, 200):
            wrong.append(f"the twin says of {section}: {answer}, and {version} is desired")
    answer = hub.invoke_method("status", {}, 5)
    if answer.status != 200:
        return [*wrong, f"status answers {answer.status}"]
    status = answer.payload
    if status["spool"]["unanswered"] or status["stuck"]:
        wrong.append(f"status says {status['spool']}, stuck {status['stuck']}")
    return wrong


def _ledger_faults(hub: DevHub, folder: Path) -> list[str]:
    spool = Spool(folder / "spool.db", max_bytes=10**9, max_age_s=10**7, metrics=Metrics())
    ledger, backlog = spool.ledger(), spool.backlog()
    spool.close()
    faults = []
    for kind, lying in backlog.items():
        entries = {entry: tally.messages for (of, entry), tally in ledger.items() if of is kind}
        put = entries.pop("put", 0)
        out = sum(entries.values()) + lying.messages
        arrived = len(hub.ids(str(kind)))
        print(f"{kind}: put {put}, {entries}, waiting {lying.messages}, at the hub {arrived}")
        if put != out:
            faults.append(f"{kind}: {put} were put, and {out} are accounted for")
        if arrived < entries.get("delivered", 0) + entries.get("settled", 0):
            faults.append(f"{kind}: the hub has {arrived}, fewer than the ledger says")
    return faults


def _memory_faults(memory: list[int]) -> list[str]:
    third = max(1, len(memory) // 3)
    first, last = (sorted(part)[len(part) // 2] for part in (memory[:third], memory[-third:]))
    print(f"memory: {first >> 20} MiB when warm, {last >> 20} MiB at the end")
    grown = last > first * _GROWTH + _SPARE_BYTES
    return [f"memory grew from {first >> 20} to {last >> 20} MiB"] if grown else []


def _memory_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _environment(hub: DevHub, folder: Path, camera: PatternCamera) -> dict[str, str]:
    return {
        **hub.environment(),
        "VISIONEDGE__SPOOL__PATH": str(folder / "spool.db"),
        "VISIONEDGE__EGRESS__PATH": str(folder / "egress.jsonl"),
        "VISIONEDGE__TELEMETRY__INTERVAL_S": "2",
        "VISIONEDGE__UPLINK__ANSWER_TIMEOUT_S": "10",
        "VISIONEDGE__UPLINK__SEND_TIMEOUT_S": "5",
        "VISIONEDGE__HTTP__PORT": "0",
        "VISIONEDGE__CAMERAS": json.dumps({"line-1": camera.model_dump(mode="json")}),
    }


def _bundle(target: Path, version: int) -> tuple[Path, str]:
    """Our bundle as a zip, under another version."""
    card = json.loads((_BUNDLE / "model.json").read_text(encoding="utf-8"))
    card["version"] = str(version)
    with zipfile.ZipFile(target, "w") as bundle:
        bundle.write(_BUNDLE / "model.onnx", "pcb/model.onnx")
        bundle.writestr("pcb/model.json", json.dumps(card))
    return target.absolute(), hashlib.sha256(target.read_bytes()).hexdigest()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=180, help="how long (default: 180)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides what happens")
    parser.add_argument("--folder", type=Path, default=Path("run/soak"), help="log, spool, bundles")
    return parser


if __name__ == "__main__":
    sys.exit(main())
