"""A verifier whose time, Vision API and way back are played, and whose core and ledger are real."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import cv2
import numpy as np

from verifier.admit import Meta
from verifier.asking import Asking
from verifier.budget import Budget
from verifier.cache import Cache
from verifier.core import ANY_MODEL, Core, Route
from verifier.courier import Courier
from verifier.dead_letters import DeadLetters
from verifier.errors import ReplyRefused
from verifier.ledger import Ledger
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want
from verifier.stores.memory import MemoryStore
from verifier.stores.store import Store
from visionedge.wire import Verdict

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
META = Meta("line-1", "visionedge", START, "0/17")
Answer = Opinion | Exception | Callable[[Picture], Opinion]
LAPTOP = Opinion(
    objects=(Seen("Laptop", 0.9, (0.1, 0.1, 0.5, 0.5)),),
    labels=(Named("Laptop", 0.95),),
    model="2026",
)


class PlayedClock:
    """Time that moves only when told to, or when somebody waits. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._passed_s = 0.0
        self.waited_s: list[float] = []

    def utc(self) -> datetime:
        with self._lock:
            return START + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        with self._lock:
            return 1000.0 + self._passed_s

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        if not event.is_set():
            with self._lock:
                self._passed_s += timeout_s
                self.waited_s.append(timeout_s)
        return event.is_set()

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed_s += seconds


@dataclass(eq=False)
class PlayedBackend:
    """A Vision API that answers from a list, the last one for ever."""

    answers: Sequence[Answer] = field(default_factory=lambda: [LAPTOP])
    region: str = "westeurope"
    name: str = "played"
    recipe: str = "1"
    limits: Limits = Limits(max_bytes=1_000_000, min_px=8)
    offers: frozenset[Want] = frozenset({Want.OBJECTS, Want.LABELS})
    calls: int = 0
    wanted: list[frozenset[Want]] = field(default_factory=list)
    timeouts_s: list[float] = field(default_factory=list)

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        answer = self.answers[min(self.calls, len(self.answers) - 1)]
        self.calls += 1
        self.wanted.append(want)
        self.timeouts_s.append(timeout_s)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Opinion) else answer(picture)


@dataclass(eq=False)
class PlayedReply:
    """A module that takes verdicts, or raises what stands next in `faults`."""

    faults: list[Exception | None] = field(default_factory=list)
    taken: list[Verdict] = field(default_factory=list)
    calls: list[list[str]] = field(default_factory=list)
    refuses: frozenset[str] = frozenset()

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        self.calls.append([verdict.escalation_id for verdict in verdicts])
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        if self.refuses & {verdict.escalation_id for verdict in verdicts}:
            raise ReplyRefused("400")
        self.taken.extend(verdicts)


@dataclass(eq=False)
class Cloud:
    """A worker: core and courier over a store that may outlive it."""

    clock: PlayedClock = field(default_factory=PlayedClock)
    store: Store = field(default_factory=MemoryStore)
    backends: Sequence[PlayedBackend] = field(default_factory=lambda: [PlayedBackend()])
    reply: PlayedReply = field(default_factory=PlayedReply)
    per_hub: int | None = None
    per_device: int | None = None
    cache_days: float = 7.0
    owner: str = ""
    want: frozenset[Want] = frozenset({Want.OBJECTS})

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store, self.clock, owner=self.owner)
        self.courier = Courier(self.ledger, self.reply, self.clock)
        self.budget = Budget(
            self.store, self.clock, per_hub=self.per_hub, per_device=self.per_device
        )
        self.asking = Asking(self.backends, self.clock)
        self.core = Core(
            routes={ANY_MODEL: Route(self.asking, self.want)},
            ledger=self.ledger,
            budget=self.budget,
            cache=Cache(self.store, self.clock, days=self.cache_days),
            dead_letters=DeadLetters(self.store, self.clock),
            clock=self.clock,
            on_verified=self.courier.add,
        )

    def states(self) -> dict[str, str]:
        """What the ledger says of each escalation."""
        found = {}
        for key in self.store.keys("ledger/"):
            stored = self.store.read(key)
            assert stored
            entry = json.loads(stored.value)
            found[entry["escalation_id"]] = entry["state"]
        return found


@cache
def jpeg(width: int = 64, height: int = 48, shade: int = 128) -> bytes:
    """A real JPEG."""
    done, encoded = cv2.imencode(".jpg", np.full((height, width, 3), shade, np.uint8))
    assert done
    return encoded.tobytes()


def escalation(
    id_: str = "01J0000000000000000000000A",
    *,
    picture: bytes | None = None,
    ttl_s: float = 3600,
    now: datetime = START,
    **changes: object,
) -> dict[str, Any]:
    """An `escalation/1` as a module sends it; `changes` replace fields at the top."""
    picture = jpeg() if picture is None else picture
    message: dict[str, Any] = {
        "schema": "escalation/1",
        "id": id_,
        "created_at": now.isoformat(),
        "expires_at": (now + timedelta(seconds=ttl_s)).isoformat(),
        "camera": "top",
        "frame": {"seq": 1, "captured_at": now.isoformat(), "width": 64, "height": 48},
        "model": {"name": "office", "version": "1"},
        "reason": "low_confidence",
        "score": 0.6,
        "settings_revision": 1,
        "prediction": {
            "task": "detection",
            "detections": [
                {"label": "laptop", "confidence": 0.4, "box": [0.1, 0.1, 0.5, 0.5]},
            ],
        },
        "image": {
            "width": 64,
            "height": 48,
            "crop": [0, 0, 64, 48],
            "quality": 95,
            "sha256": hashlib.sha256(picture).hexdigest(),
            "size_bytes": len(picture),
            "data": base64.b64encode(picture).decode(),
        },
    }
    return message | changes


def body(
    id_: str = "01J0000000000000000000000A",
    *,
    picture: bytes | None = None,
    ttl_s: float = 3600,
    now: datetime = START,
    **changes: object,
) -> bytes:
    """`escalation`, encoded."""
    message = escalation(id_, picture=picture, ttl_s=ttl_s, now=now, **changes)
    return json.dumps(message).encode()
