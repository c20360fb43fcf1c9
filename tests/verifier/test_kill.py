"""Two workers, one killed with -9 in mid-batch: the other takes over, and the bill stays right.

The quick one, on a file ledger; `test_two_workers.py` has the workers as they are deployed.
"""

import hashlib
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.cloud import body, escalation, jpeg
from tests.support.vision_stub import Reply, Stub, example, serving

from verifier.stores.sqlite import SqliteStore

ROOT: Final = Path(__file__).parents[2]
COUNT: Final = 12
AT_ONCE: Final = 3
LEASE_S: Final = "2"


def messages() -> list[bytes]:
    made = []
    for n in range(COUNT):
        picture = jpeg(64, 64, shade=10 * n)
        image = escalation(picture=picture)["image"] | {"height": 64}
        made.append(body(f"e{n:02}", ttl_s=10 * 365 * 86_400, image=image))
    return made


def worker(ledger: Path, vision: Stub, hub: Stub) -> "subprocess.Popen[bytes]":
    arguments = [str(ledger), vision.endpoint, hub.endpoint, LEASE_S]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.verifier_child", *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(b"\n".join(messages()) + b"\n")
    process.stdin.close()
    return process


def states(ledger: Path) -> dict[str, str]:
    store = SqliteStore(ledger)
    found = {}
    for key in store.keys("ledger/"):
        stored = store.read(key)
        assert stored
        entry = json.loads(stored.value)
        found[entry["escalation_id"]] = entry["state"]
    still_open = list(store.keys("open/"))
    store.close()
    assert still_open == []
    return found


def test_a_worker_killed_in_mid_batch_costs_at_most_the_calls_it_had_in_flight(
    tmp_path: Path,
) -> None:
    ledger = tmp_path / "ledger.db"
    SqliteStore(ledger).close()
    answer = Reply(200, example("ia40_AnalyzeFromImageData_MaximumSet"))
    taken = Reply(200, {"status": 200, "payload": {}})
    with serving(answer) as vision, serving(taken) as hub:
        first = worker(ledger, vision, hub)
        _wait(lambda: len(vision.requests) >= 4)
        vision.hold.clear()
        _wait(lambda: vision.held == AT_ONCE)
        first.kill()
        first.wait(20)
        vision.hold.set()
        second = worker(ledger, vision, hub)
        assert second.stdout is not None
        said = second.stdout.read()
        assert second.wait(60) == 0
        second.stdout.close()
        assert first.stdout is not None
        first.stdout.close()
    assert said == f"took {COUNT}\n".encode()
    assert states(ledger) == {f"e{n:02}": "delivered" for n in range(COUNT)}
    paid = Counter(hashlib.sha256(request.body).hexdigest() for request in vision.requests)
    assert len(paid) == COUNT
    assert max(paid.values()) <= 2
    assert sum(paid.values()) - COUNT <= AT_ONCE
    delivered = Counter(
        verdict["escalation_id"]
        for request in hub.requests
        for verdict in json.loads(request.body)["payload"]["verdicts"]
    )
    assert set(delivered) == {f"e{n:02}" for n in range(COUNT)}


def _wait(condition: object) -> None:
    assert callable(condition)
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
