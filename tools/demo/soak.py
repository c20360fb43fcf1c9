"""`make soak`: everything that goes wrong, at random, for as long as you like, then the sum.

The module runs as its own process against devhub, with verdicts. Every second or two
something happens: a row of the behaviour table, a patch that fits the settings or does not,
a new model by address, a camera that goes away, a direct method. A line a second tells what,
and what the module takes. At the end everything is mended, and then this must hold:

    ledger   what was put into the spool is accounted for, and the hub has what it says
    twin     every section is answered with the last version and says what is in use
    vitals   memory, threads and descriptors have not grown (`demo.vitals` has the rule), and
             no more threads are left than cameras, workers and one session explain
    process  it was never restarted

The seed is printed: the same one does the same things in the same order, though not at the
same moments.
"""

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from demo.mischief import BUNDLE, Mischief
from demo.module import ModuleRun
from demo.oracle import LineOracle
from demo.room import Unusable, emptied, seconds
from demo.truth import ledger_faults, twin_faults
from demo.vitals import MEASURES, Vitals, Watcher, growth, read_vitals, threads_at_rest
from devhub import DevHub, WaitTimeout
from devhub.verifier import Verifier
from visionedge.runtime.cores import cores
from visionedge.settings import PatternCamera

_SETTLE_S: Final = 240.0
"""Two of the SDK's own deadlines: a call that hung at the end, and what it held up."""
_LOAD_S: Final = 60.0
_MARK: Final = "soak.seed"
"""The file by which a folder of an earlier soak is known."""


def main(argv: list[str] | None = None) -> int:
    """Run the soak; returns 0 where all held."""
    args = _parser().parse_args(argv)
    if not BUNDLE.is_dir():
        print(f"soak: there is no {BUNDLE} here; run it in the project's folder", file=sys.stderr)
        return 2
    try:
        folder = emptied(args.folder, _MARK)
    except Unusable as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    (folder / _MARK).write_text(f"{args.seed}\n", encoding="utf-8")
    print(f"soak for {args.seconds:g} s, seed {args.seed}, in {folder}", flush=True)
    camera = PatternCamera(fps=10, defect_rate=4)
    with DevHub() as hub, Verifier(hub, LineOracle("line-1", camera), delay_s=0.5):
        mischief = Mischief(hub, folder, args.seed)
        options = ["--grace", "5"]
        module = ModuleRun(options, _environment(hub, folder, camera), folder, status=False)
        faults = _run(mischief, hub, module, args.seconds)
        restarts = module.restarts
        module.stop(10)
        faults += ledger_faults(hub, folder / "spool.db")
        faults += [f"the module was restarted {restarts} times"] if restarts else []
    print(f"happened: {', '.join(f'{name} {n}' for name, n in sorted(mischief.counts.items()))}")
    for fault in faults:
        print(f"FAULT: {fault}")
    print("soak: " + ("failed" if faults else "all held"), flush=True)
    return 1 if faults else 0


def _run(mischief: Mischief, hub: DevHub, module: ModuleRun, seconds: float) -> list[str]:
    """Let things happen, then mend them; returns what did not hold."""

    def tell(vitals: Vitals) -> None:
        mib = vitals.resident_bytes >> 20
        count, link = sum(mischief.counts.values()), "up" if hub.connections else "down"
        print(
            f"{vitals.at_s:6.0f} s  {mib:4} MiB  {vitals.threads:3} threads  "
            f"{vitals.descriptors:3} fds  link {link:4}  {count:4} events  {mischief.now}",
            flush=True,
        )

    _warm_up(mischief, hub)
    with Watcher(lambda: module.pid, tell) as watcher:
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            module.poll()
            mischief.act()
        faults = _settle(mischief, hub, module)
    for vitals in watcher.seen[-1:]:
        print(f"threads: {vitals.threads} at the end, {_most_threads()} are explained")
    return faults + _growth_faults(watcher.seen)


def _warm_up(mischief: Mischief, hub: DevHub) -> None:
    """Load each bundle once: what a second model takes is no growth."""
    for bundle in mischief.bundles:
        mischief.deliver(bundle)
        # A bundle that is refused shows at the end, by the twin.
        with contextlib.suppress(WaitTimeout):
            hub.wait(lambda wanted=bundle[1]: _is_active(hub, wanted), _LOAD_S)  # type: ignore[misc] # bound now


def _is_active(hub: DevHub, sha256: str) -> bool:
    return f'"active": "{sha256[:16]}"' in json.dumps(hub.reported.get("model", {}))


def _settle(mischief: Mischief, hub: DevHub, module: ModuleRun) -> list[str]:
    """Mend everything, and wait until the module has caught up; what it did not catch up with."""
    version = mischief.mend()
    deadline_s = time.monotonic() + _SETTLE_S
    wrong = ["nothing was looked at"]
    while wrong and time.monotonic() < deadline_s:
        module.poll()
        time.sleep(1)
        # A session whose shutdown does not come to an end is let go after some seconds only.
        wrong = twin_faults(hub, version) or _rest_faults(module.pid)
    return wrong


def _growth_faults(seen: Sequence[Vitals]) -> list[str]:
    faults = []
    for measure in MEASURES:
        try:
            middle, last = growth(seen, measure)
        except ValueError as error:
            return [str(error)]
        print(f"{measure.name}: {middle:.0f} in the middle third, {last:.0f} in the last")
        if last > middle + measure.allowance:
            faults.append(f"{measure.name} grew from {middle:.0f} to {last:.0f}")
    return faults


def _most_threads() -> int:
    return threads_at_rest(cores(), cameras=1)


def _rest_faults(pid: int) -> list[str]:
    vitals, most = read_vitals(pid, 0.0), _most_threads()
    if vitals is None:
        return ["the module is not there"]
    if vitals.threads <= most:
        return []
    return [f"{vitals.threads} threads are left, and {most} are explained"]


def _environment(hub: DevHub, folder: Path, camera: PatternCamera) -> dict[str, str]:
    settings: dict[str, Any] = {
        "SPOOL__PATH": folder / "spool.db",
        "EGRESS__PATH": folder / "egress.jsonl",
        "TELEMETRY__INTERVAL_S": 2,
        "UPLINK__ANSWER_TIMEOUT_S": 10,
        "UPLINK__SEND_TIMEOUT_S": 5,
        # With a fault every few seconds the pauses would fill most of the time.
        "UPLINK__MAX_PAUSE_S": 10,
        "HTTP__PORT": 0,
        "CAMERAS": json.dumps({"line-1": camera.model_dump(mode="json")}),
    }
    return {
        **hub.environment(),
        **{f"VISIONEDGE__{name}": str(value) for name, value in settings.items()},
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make soak", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=seconds, default=180, help="how long (default: 180)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides what happens")
    parser.add_argument("--folder", type=Path, default=Path("run/soak"), help="log, spool, bundles")
    return parser


if __name__ == "__main__":
    sys.exit(main())
