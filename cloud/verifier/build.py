"""Put a worker together from its settings: the one place that knows all parts by name."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from azure.core.credentials import TokenCredential

from verifier.asking import Asking
from verifier.back_pressure import BackPressure, Twins
from verifier.backends import registry
from verifier.backends.placed import placed
from verifier.budget import Budget
from verifier.cache import Cache
from verifier.clock import Clock, SystemClock
from verifier.compose import Composer
from verifier.core import Core, Route
from verifier.courier import Courier
from verifier.dataset.sink import Sink
from verifier.dead_letters import DeadLetters
from verifier.errors import SettingsRefused, below
from verifier.http import Credential
from verifier.identity import COGNITIVE_SERVICES, IOT_HUB, key, token
from verifier.labels import LabelMap
from verifier.ledger import Ledger
from verifier.observer import Observer
from verifier.reply.iot_hub import IotHubReply
from verifier.reply.iot_hub_twin import IotHubTwins
from verifier.reply.port import Reply
from verifier.reply.service_sas import ConnectionString, signed_by
from verifier.settings import (
    DatasetSettings,
    HubSettings,
    RegionSettings,
    RouteSettings,
    VerifierSettings,
)
from verifier.stores.sqlite import SqliteStore
from verifier.stores.store import Store
from visionedge.datasets.collection import Collection
from visionedge.datasets.shelf import Shelf

Environment = Mapping[str, str]
_ASKED_OF_LEASE: Final = 2 / 3
"""What is left is for writing the answer down before somebody else may ask."""


@dataclass(frozen=True, slots=True)
class Built:
    """A worker's parts."""

    core: Core
    courier: Courier
    budget: Budget
    askings: tuple[Asking, ...]
    stop: threading.Event
    chores: tuple[Callable[[], None], ...] = ()
    """To be done now and then by whoever delivers."""


def build(
    settings: VerifierSettings,
    environment: Environment,
    store: Store,
    *,
    observer: Observer | None = None,
    clock: Clock | None = None,
    identity: TokenCredential | None = None,
    shelf: Shelf | None = None,
) -> Built:
    """Everything but the host.

    Args:
        shelf: Where samples go; None keeps none.

    Raises:
        SettingsRefused: a setting is wrong, or a variable that it names is not set.
    """
    clock, observer, stop = clock or SystemClock(), observer or Observer(), threading.Event()
    ledger = Ledger(store, clock, lease_s=settings.worker.lease_s)
    courier = Courier(ledger, reply_of(settings.hub, environment, clock, identity), clock, observer)
    routes = {}
    for model, route in settings.routes.items():
        with below(f"routes.{model}"):
            routes[model] = route_of(
                route, environment, clock, stop, observer, identity, place=f"routes.{model}."
            )
    budget = Budget(
        store, clock, per_hub=settings.budget.per_hub, per_device=settings.budget.per_device
    )
    pressure = BackPressure(
        store, budget, twins_of(settings.hub, environment, clock, identity), clock
    )
    sink = _sink(settings.dataset, shelf, store, clock) if shelf else None
    core = Core(
        routes=routes,
        ledger=ledger,
        budget=budget,
        cache=Cache(store, clock, days=settings.worker.cache_days),
        dead_letters=DeadLetters(store, clock),
        clock=clock,
        on_verified=courier.add,
        observer=observer,
        ask_s=settings.worker.lease_s * _ASKED_OF_LEASE,
        on_spent=pressure.pause,
        keep=sink.keep if sink else lambda admitted, verdict: None,
    )
    chores = (pressure.lift, sink.forget) if sink else (pressure.lift,)
    askings = tuple(route.asking for route in routes.values())
    return Built(core, courier, budget, askings, stop, chores)


def reply_of(
    hub: HubSettings, environment: Environment, clock: Clock, identity: TokenCredential | None
) -> Reply:
    """The way back, by key or by identity."""
    return IotHubReply(*_hub(hub, environment, clock, identity))


def twins_of(
    hub: HubSettings, environment: Environment, clock: Clock, identity: TokenCredential | None
) -> Twins:
    """The way to the modules' settings, as the way back is."""
    return IotHubTwins(*_hub(hub, environment, clock, identity))


def _hub(
    hub: HubSettings, environment: Environment, clock: Clock, identity: TokenCredential | None
) -> tuple[str, Credential]:
    if hub.connection_string_env:
        text = secret(environment, hub.connection_string_env, "hub.connection_string_env")
        try:
            string = ConnectionString.parse(text)
        except SettingsRefused as error:
            raise SettingsRefused(f"hub.connection_string_env: {error}") from None
        return f"https://{string.host}", signed_by(string, clock)
    if not hub.host:
        raise SettingsRefused("hub: give host, or connection_string_env")
    return f"https://{hub.host}", token(IOT_HUB, identity)


def _sink(settings: DatasetSettings, shelf: Shelf, store: Store, clock: Clock) -> Sink:
    room = Budget(
        store, clock, per_hub=None, per_device=settings.per_class_per_day, prefix="samples/"
    )
    return Sink(Collection(shelf), room, clock, settings.keep_days, settings.agreements)


def checked_file(path: str) -> Path:
    """The path of a ledger's file, which need not be there yet.

    Raises:
        SettingsRefused: its folder is not there.
    """
    if not Path(path).absolute().parent.is_dir():
        raise SettingsRefused(f"store.file: no folder for {path}")
    return Path(path)


def file_store(path: str) -> Store:
    """A ledger in one file; see `checked_file`."""
    return SqliteStore(checked_file(path))


def secret(environment: Environment, name: str, field: str = "") -> str:
    """The value of a variable; never empty.

    Args:
        field: The setting that names the variable, for whoever must mend it.
    """
    where = f"{field}: " if field else ""
    if not (value := environment.get(name, "").strip()):
        raise SettingsRefused(f"{where}the variable {name} is not set")
    if not (value.isascii() and value.isprintable()):
        # http.client would refuse it as a header, and tell it whole.
        raise SettingsRefused(f"{where}the variable {name} holds what no key does")
    return value


def route_of(
    settings: RouteSettings,
    environment: Environment,
    clock: Clock,
    stop: threading.Event,
    observer: Observer,
    identity: TokenCredential | None,
    *,
    place: str = "",
) -> Route:
    """Who is asked, what, and how the answer is read.

    Args:
        place: What the paths of its settings begin with, for errors of its backends.

    Raises:
        SettingsRefused: a setting of it is wrong, named by its path within the route.
    """
    regions = []
    for number, region in enumerate(settings.backend.regions):
        credential = _credential(region, environment, identity)
        path = f"backend.regions.{number}"
        with below(path, but="backend."):
            backend = registry.make(settings.backend, region, credential)
        regions.append(placed(backend, place + path))
    composer = Composer(LabelMap(settings.labels, settings.only_mapped), settings.min_confidence)
    asking = Asking(regions, clock, stop, observer.called)
    return Route(asking, frozenset(settings.want), composer)


def _credential(
    region: RegionSettings, environment: Environment, identity: TokenCredential | None
) -> Callable[[str], Credential]:
    def of(header: str) -> Credential:
        if region.key_env:
            return key(header, secret(environment, region.key_env, "key_env"))
        if not region.endpoint:
            return dict  # A vendor that signs by itself, as AWS does, gets no header of ours.
        return token(COGNITIVE_SERVICES, identity)

    return of
