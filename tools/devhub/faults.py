"""The faults a hub can be told to have, one attribute each.

Every attribute is a thing that a real edgeHub, its host or the network was seen to do to the
device SDK. `Faults` is a frozen value: a hub swaps the whole of it at once, so a test never meets
half a change, and a copy taken earlier still tells what was set then.

A `Times` fault is False (never), True (every time, until cleared) or a number (the next so many
times, counted down as they happen).

Things that happen at one moment are calls of the hub, not attributes: `drop_links`, `cut`,
`restore`, `rotate_authority`, `lose_sessions`. `devhub.rows` has both under the names of the
behaviour table.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import TypeAlias

Times: TypeAlias = bool | int

FaultValue: TypeAlias = bool | int | float | str

_LAST_CONNACK_CODE = 5


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong now; all at rest by default.

    Attributes:
        refuse_tcp: Nothing listens; a connection is refused at once.
        no_tls: TCP is accepted, then nothing is ever read or said.
        freeze: Nothing is read or said, on open links and new ones, as when a cable is pulled; what
            piled up goes on afterwards.
        mute_connack: TLS and CONNECT are taken, the answer never comes.
        connack_code: The code of every CONNACK (3 unavailable, 4 bad credentials, 5 not
            authorized); 0 lets the hub judge.
        token_life_s: Seconds after its first use by which every token has expired, whatever it
            says: its link drops, and it is refused; 0 keeps to the token's own end.
        lose_puback: The message is taken, its acknowledgement is not sent.
        puback_delay_s: Seconds by which every PUBACK is late.
        drop_at_publish: The so-many-th next message is taken, not acknowledged, and the link
            dropped.
        poison_output: A message to this output closes the link and is not taken, each time.
        rival_s: A second client with the same identity takes every session over after so many
            seconds; 0 is no rival.
        lose_suback: The subscription is made, its acknowledgement is not sent.
        lose_session: A connecting client finds its stored session gone, as after edgeHub was
            re-created without its volume.
        lose_twin_answer: A twin request is carried out, its answer is not sent.
        never_synced: Twins are answered empty and without `$version`, as by an edgeHub that
            started offline.
        reorder_patches: Desired patches are held back until there are so many, then pushed newest
            first.
        silent_cloud: edgeHub works and acknowledges, but nothing comes down from the cloud: no
            verdict, no method, no desired change, until it ends.
        latency_s: Seconds by which everything that the hub sends is late.
        uplink_bytes_per_s: How fast the hub reads from each link; 0 is as fast as it can.
        workload_gone: The workload API's socket does not exist.
        workload_hung: The workload API takes requests and never answers.
        workload_error: The workload API answers 500.
    """

    refuse_tcp: bool = False
    no_tls: bool = False
    freeze: bool = False
    mute_connack: bool = False
    connack_code: int = 0
    token_life_s: float = 0.0
    lose_puback: Times = False
    puback_delay_s: float = 0.0
    drop_at_publish: int = 0
    poison_output: str = ""
    rival_s: float = 0.0
    lose_suback: Times = False
    lose_session: Times = False
    lose_twin_answer: Times = False
    never_synced: bool = False
    reorder_patches: int = 0
    silent_cloud: bool = False
    latency_s: float = 0.0
    uplink_bytes_per_s: int = 0
    workload_gone: bool = False
    workload_hung: bool = False
    workload_error: Times = False

    def active(self) -> dict[str, FaultValue]:
        """The attributes that are not at rest, by name."""
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if getattr(self, each.name) != each.default
        }


FAULT_NAMES = tuple(each.name for each in fields(Faults))


class FaultPanel:
    """The one place that holds the current `Faults`.

    Only the hub's loop changes it; any thread may read `now`.
    """

    def __init__(self) -> None:
        self._faults = Faults()
        self._changed = asyncio.Event()
        self._watchers: list[Callable[[Faults, Faults], None]] = []

    @property
    def now(self) -> Faults:
        """The faults as they are."""
        return self._faults

    def watch(self, watcher: Callable[[Faults, Faults], None]) -> None:
        """Calls `watcher(before, after)` on every `set`."""
        self._watchers.append(watcher)

    async def until(self, condition: Callable[[Faults], bool]) -> None:
        """Returns when the faults are as the condition wants them."""
        while not condition(self._faults):
            await self._changed.wait()

    def set(self, changes: Mapping[str, FaultValue], *, clear: bool = False) -> Faults:
        """Changes attributes; with `clear`, all others go back to rest.

        Raises:
            ValueError: No fault has that name, or the value does not fit.
        """
        fit = {name: fitting(name, value) for name, value in changes.items()}
        before = self._faults
        # The names and types were checked just above.
        after = replace(Faults() if clear else before, **fit)  # type: ignore[arg-type]
        self._faults = after
        self._changed.set()
        self._changed = asyncio.Event()
        for watcher in self._watchers:
            watcher(before, after)
        return after

    def take(self, name: str) -> bool:
        """Whether the `Times` fault happens now; counts it down when it is a number."""
        value = getattr(self._faults, name)
        if value is not True and value > 0:
            self._faults = replace(self._faults, **{name: value - 1})
        return bool(value)

    def last_of(self, name: str) -> bool:
        """Counts a number down and tells whether this was the one that brought it to zero."""
        return self.take(name) and not getattr(self._faults, name)


def fitting(name: str, value: FaultValue) -> FaultValue:
    """The value in the type of its attribute.

    Raises:
        ValueError: No fault has that name, or the value does not fit.
    """
    if name not in FAULT_NAMES:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(FAULT_NAMES)}")
    rest: FaultValue = getattr(Faults(), name)
    refused = ValueError(f"{name} cannot be {value!r}; at rest it is {rest!r}")
    if isinstance(rest, str) or isinstance(value, str):
        if not (isinstance(rest, str) and isinstance(value, str)):
            raise refused
        return value
    if (
        # A script's value may be anything that its file can hold.
        not isinstance(value, int | float)
        or not math.isfinite(value)
        or value < 0
        or (name == "connack_code" and value > _LAST_CONNACK_CODE)
    ):
        raise refused
    if isinstance(rest, bool):
        return value if isinstance(value, int) else bool(value)
    return type(rest)(value)
