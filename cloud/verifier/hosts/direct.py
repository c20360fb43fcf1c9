"""The device as a host: the same core and courier, within the edge module.

For sites that may call a Vision API themselves. Its ledger is a file beside the module's own, so
that a restart neither forgets what was spent today nor pays for an answer twice. Answers are not
cached: a camera's frames do not repeat. What is over and a week old is forgotten, once a day.

The module knows nothing of this package but two functions and their plain values: so no error of
ours leaves this file either. What is wrong with the settings is a ValueError that names the field;
what is wrong later is logged, and the message is worth handing in again.

`stop` is for any thread, all else for one.
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from verifier.admit import Meta
from verifier.asking import Asking
from verifier.backends.around import Around
from verifier.budget import Budget
from verifier.build import route_of
from verifier.cache import Cache
from verifier.clock import Clock, SystemClock
from verifier.core import ANY_MODEL, Core
from verifier.courier import Courier
from verifier.dead_letters import DeadLetters
from verifier.errors import (
    BackendBusy,
    BackendMisconfigured,
    ReplyDeferred,
    ReplyError,
    ReplyRefused,
    SettingsRefused,
    StoreDamaged,
    StoreError,
)
from verifier.hosts.intake import take
from verifier.ledger import Entry, Ledger
from verifier.observer import Observer
from verifier.opinion import Opinion, Picture, Want, calls_of
from verifier.settings import RouteSettings, parse_route
from verifier.stores.memory import MemoryStore
from verifier.stores.sqlite import SqliteStore
from verifier.stores.store import Store
from visionedge.wire import Verdict, Verdicts

log: Final = logging.getLogger(__name__)
_HERE: Final = Meta("device", "module")
"""There is one module, and nobody to vouch for another."""
_KEY: Final = "KEY"
_REFUSED_S: Final = 60.0
_STORE_S: Final = 5.0
_ADOPT_S: Final = 60.0
_KEEP: Final = timedelta(days=7)
_AWAY: Final = frozenset({408, 429, 503, 504})
Apply = Callable[[Mapping[str, Any]], int]


class _Method:
    """A `Reply` that is a call within the process; `apply` is set while verdicts are delivered."""

    def __init__(self) -> None:
        self.apply: Apply = lambda _: 503

    def send(self, device_id: str, module_id: str, verdicts: Sequence[Verdict]) -> None:
        """As `Reply.send`."""
        payload = Verdicts(verdicts=list(verdicts)).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        status = self.apply(payload)
        if status in _AWAY:
            raise ReplyDeferred(f"the module answers {status}")
        if status != 200:
            raise ReplyRefused(f"the module answers {status}")


@dataclass(frozen=True, slots=True)
class _Told(Around):
    """A backend that says so before a picture leaves."""

    leaves: Callable[[], None]

    def paid_calls(self, want: frozenset[Want]) -> int:
        """As `Metered.paid_calls`."""
        return calls_of(self.backend, want)

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once, when it is written down that the picture leaves."""
        try:
            self.leaves()
        except OSError as error:
            raise BackendBusy(f"it cannot be written down: {error}", billed=False) from None
        return self.backend.look(picture, want, timeout_s)


def _nothing() -> None:
    """Nobody is told."""


class Direct:
    """The verifier of one device."""

    def __init__(
        self,
        settings: RouteSettings,
        environment: Mapping[str, str],
        store: Store,
        calls_per_day: int,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._store = store
        self._stop = threading.Event()
        self._reply = _Method()
        observer = Observer()
        # One name over all restarts: what an earlier process verified is ours to deliver.
        ledger = Ledger(store, clock, owner=_HERE.device_id)
        self._courier = Courier(ledger, self._reply, clock, observer)
        self._leaves: Callable[[], None] = _nothing
        route = route_of(settings, environment, clock, self._stop, observer, None)
        told = [_Told(backend, self._about_to_leave) for backend in route.asking.regions]
        route = replace(route, asking=Asking(told, clock, self._stop, observer.called))
        self._core = Core(
            routes={ANY_MODEL: route},
            ledger=ledger,
            budget=Budget(store, clock, per_hub=calls_per_day, per_device=None),
            cache=Cache(store, clock, days=0),
            dead_letters=DeadLetters(store, clock),
            clock=clock,
            on_verified=self._courier.add,
            observer=observer,
        )
        hosts = [urlsplit(region.endpoint).hostname for region in settings.backend.regions]
        named = ", ".join(host for host in hosts if host)
        self.destination = f"{settings.backend.kind} {named}".strip()
        self._swept_on = ""
        self._adopt_at_s = clock.monotonic_s()

    def handle(self, body: bytes, leaves: Callable[[], None]) -> float:
        """Take a message as far as it goes; seconds until it is worth handing in again, or 0.

        Args:
            body: An escalation, or a query about some.
            leaves: Called before each time that the picture is sent. An OSError keeps it here.
        """
        self._leaves = leaves
        try:
            outcome = take(self._core, body, _HERE)
        except BackendMisconfigured as error:
            log.error("the Vision API refuses every picture: %s", error)
            return _REFUSED_S
        except StoreError as error:
            log.error("%s", error)
            return _STORE_S
        return 0.0 if outcome.kind.is_done else max(1.0, outcome.retry_after_s)

    def _about_to_leave(self) -> None:
        self._leaves()

    def deliver(self, apply: Apply) -> None:
        """Hand over what is verified, what an earlier process left included."""
        self._reply.apply = apply
        try:
            self._sweep()
            self._courier.turn()
        except (StoreError, ReplyError) as error:
            log.error("verdicts are delivered later: %s", error)

    def stop(self) -> None:
        """End every pause."""
        self._stop.set()

    def close(self) -> None:
        """Let the file go; nothing is called after."""
        if isinstance(self._store, SqliteStore):
            self._store.close()

    def _sweep(self) -> None:
        """Take over what is open, every minute; forget what is long over, every day."""
        if self._clock.monotonic_s() >= self._adopt_at_s:
            self._adopt_at_s = self._clock.monotonic_s() + _ADOPT_S
            self._courier.adopt()
        today = f"{self._clock.utc():%Y-%m-%d}"
        if self._swept_on == today:
            return
        self._swept_on = today
        before = self._clock.utc() - _KEEP
        for key in list(self._store.keys("ledger/")):
            stored = self._store.read(key)
            entry = None
            with suppress(ValidationError):
                # One of a later release is left to that.
                entry = Entry.model_validate_json(stored.value) if stored else None
            if entry and entry.state.is_terminal and entry.changed_at < before:
                self._store.delete(key)
        for key in list(self._store.keys("budget/")):
            if key < f"budget/{before:%Y-%m-%d}":
                self._store.delete(key)
        for key in list(self._store.keys("dead/")):
            if key < f"dead/{before:%Y/%m/%d}":
                self._store.delete(key)


def open_direct(
    route: Mapping[str, Any],
    key: str,
    *,
    calls_per_day: int,
    path: str,
    clock: Clock | None = None,
) -> Direct:
    """The verifier of one device.

    Args:
        route: As one of `routes` in the settings, its regions without keys.
        key: Of the Vision API; empty for one that needs none.
        calls_per_day: That may be paid for.
        path: The ledger's file; empty keeps it in memory, to see whether all this is right.
        clock: Of the process.

    Raises:
        ValueError: the route is wrong; it names the field.
        OSError: the file cannot be made.
    """
    try:
        settings = parse_route(_with_key(route, key))
        if path:
            Path(path).absolute().parent.mkdir(parents=True, exist_ok=True)
        store = _file(Path(path)) if path else MemoryStore()
        environment = {_KEY: key}
        return Direct(settings, environment, store, calls_per_day, clock or SystemClock())
    except StoreError as error:
        raise OSError(str(error)) from None
    except (SettingsRefused, TypeError) as error:
        raise ValueError(str(error)) from None


def _file(path: Path) -> SqliteStore:
    """The ledger's file; a damaged one is set aside, since the module must start all the same."""
    try:
        return _checked(path)
    except StoreDamaged as error:
        aside = path.with_name(f"{path.name}.damaged")
        path.replace(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        log.error("%s; set aside as %s: what was spent today is not known", error, aside.name)
        return _checked(path)


def _checked(path: Path) -> SqliteStore:
    store = SqliteStore(path)
    try:
        store.check()
    except StoreError:
        store.close()
        raise
    return store


def _with_key(route: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The route with each region told where its key is; what is no region is left to be refused."""
    document: dict[str, Any] = json.loads(json.dumps(dict(route)))
    backend = document.get("backend")
    regions = backend.get("regions") if isinstance(backend, dict) else None
    for region in regions if isinstance(regions, list) else ():
        if isinstance(region, dict):
            if "key_env" in region:
                raise SettingsRefused("backend.regions.key_env: give the key as direct.key")
            region["key_env"] = _KEY if key else ""
    return document
