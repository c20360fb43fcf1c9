"""A verifier worker as a process of its own, to be killed: reads messages, works, and says so.

    python -m tests.support.verifier_child LEDGER VISION_URL HUB_URL SECONDS_OF_LEASE < bodies

It stands for the container: the real core, courier, file ledger and HTTP, fed by lines of stdin
instead of an event hub. It prints `took N` when its batch is done, and ends.
"""

import sys
import threading
from pathlib import Path

from verifier.admit import Meta
from verifier.asking import Asking
from verifier.backends.ia40 import ImageAnalysis40
from verifier.budget import Budget
from verifier.build import Built
from verifier.cache import Cache
from verifier.clock import SystemClock
from verifier.core import ANY_MODEL, Core, Route
from verifier.courier import Courier
from verifier.dead_letters import DeadLetters
from verifier.hosts.worker import Worker
from verifier.http import Service
from verifier.ledger import Ledger
from verifier.opinion import Want
from verifier.reply.iot_hub import IotHubReply
from verifier.stores.sqlite import SqliteStore


def main(ledger_file: str, vision: str, hub: str, lease_s: float) -> None:
    """Take every line of stdin as a message, deliver, and end."""
    clock, stop = SystemClock(), threading.Event()
    store = SqliteStore(Path(ledger_file))
    ledger = Ledger(store, clock, lease_s=lease_s)
    courier = Courier(ledger, IotHubReply(hub, dict), clock)
    asking = Asking([ImageAnalysis40(Service(vision, dict), "here")], clock, stop)
    budget = Budget(store, clock, per_hub=None, per_device=None)
    core = Core(
        routes={ANY_MODEL: Route(asking, frozenset({Want.OBJECTS}))},
        ledger=ledger,
        budget=budget,
        cache=Cache(store, clock, days=0),
        dead_letters=DeadLetters(store, clock),
        clock=clock,
        on_verified=courier.add,
    )
    worker = Worker(Built(core, courier, budget, (asking,), stop), threads=3)
    messages = [(line.strip(), Meta("line-1", "visionedge")) for line in sys.stdin.buffer]
    done = worker.take(messages)
    while courier.adopt() or courier.waiting:
        courier.turn()
    sys.stdout.write(f"took {len(messages)}\n" if done else "stopped\n")
    sys.stdout.flush()
    worker.stop()
    worker.join()
    store.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], float(sys.argv[4]))
