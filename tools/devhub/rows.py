"""The behaviour table: what was measured to go wrong between a module and its hub, a row each.

A fault of `Faults` is one switch; whether the device SDK meets it can hang on one more thing,
such as a link that drops so that the next CONNECT runs into it. A row is both: what is set, and
what happens at that moment. Tests, benchmarks, scripts and the command take the same rows, so
that they mean the same thing by a name.

Not here: a name that DNS does not know, since modules find the hub by its address, and what a
module does to itself (a handler that raises, an exit without a shutdown).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from devhub.faults import Faults, FaultValue

if TYPE_CHECKING:
    from devhub.hub import DevHub

MOMENTS: Final[Mapping[str, "Callable[[DevHub], None]"]] = {
    "drop": lambda hub: hub.drop_links(),
    "lose-sessions": lambda hub: hub.lose_sessions(),
    "rotate-ca": lambda hub: hub.rotate_authority(),
}
"""What happens at one moment, and is no state."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table.

    Attributes:
        says: what it is, for people.
        faults: what is set while it lasts, by the names of `Faults`.
        moment: what happens when it begins, of `MOMENTS`; "" for nothing.
    """

    says: str
    faults: Mapping[str, FaultValue] = field(default_factory=dict)
    moment: str = ""

    def begin(self, hub: "DevHub") -> None:
        """Put it in force."""
        hub.set_faults(**self.faults)
        if self.moment:
            MOMENTS[self.moment](hub)

    def end(self, hub: "DevHub") -> None:
        """Put its faults to rest; those of others stay."""
        hub.set_faults(**at_rest(self.faults))


def at_rest(names: Iterable[str]) -> dict[str, FaultValue]:
    """Faults of these names as they are when nothing is wrong."""
    rest = Faults()
    return {name: getattr(rest, name) for name in names}


ROWS: Final[Mapping[str, Row]] = {
    "refuse-tcp": Row("the hub is away: TCP is refused", {"refuse_tcp": True}, "drop"),
    "no-tls": Row("TCP is accepted, TLS never comes", {"no_tls": True}, "drop"),
    "pulled-cable": Row("nothing comes and nothing goes, no end of link is seen", {"freeze": True}),
    "mute-connack": Row("CONNECT is taken and never answered", {"mute_connack": True}, "drop"),
    "connack-3": Row("the server is unavailable", {"connack_code": 3}, "drop"),
    "connack-4": Row("bad user name or password", {"connack_code": 4}, "drop"),
    "connack-5": Row("not authorized", {"connack_code": 5}, "drop"),
    "lost-puback": Row("messages are taken, acknowledgements lost", {"lose_puback": True}),
    "late-puback": Row("acknowledgements come late", {"puback_delay_s": 0.5}),
    "drop-before-puback": Row("a message is taken, then the link drops", {"drop_at_publish": 1}),
    "reject-by-closing": Row(
        "a message to `telemetry` closes the link, each time", {"poison_output": "telemetry"}
    ),
    "duplicate-identity": Row("another client takes every session over", {"rival_s": 0.2}),
    "lost-suback": Row("subscriptions are not acknowledged", {"lose_suback": True}, "drop"),
    "lost-session": Row("stored sessions are not kept", {"lose_session": True}, "drop"),
    "hub-recreated": Row("edgeHub was re-created without its volume", moment="lose-sessions"),
    "lost-twin-answer": Row("twin requests are not answered", {"lose_twin_answer": True}, "drop"),
    "never-synced": Row("edgeHub started offline: empty twins", {"never_synced": True}, "drop"),
    "reordered-patches": Row("three patches at a time, newest first", {"reorder_patches": 3}),
    "silent-cloud": Row("edgeHub works, nothing comes down", {"silent_cloud": True}),
    "latency": Row("the hub's answers take 0.3 s longer", {"latency_s": 0.3}),
    "narrow-uplink": Row("20 kB/s upwards", {"uplink_bytes_per_s": 20_000}),
    "rotated-ca": Row("another authority: old trust bundles fail", moment="rotate-ca"),
    "sas-expiry": Row("tokens end before their time", {"token_life_s": 0.5}, "drop"),
    "workload-500": Row(
        "no new token: the workload API fails", {"workload_error": True, "connack_code": 5}, "drop"
    ),
    "workload-hung": Row(
        "no new token: the workload API hangs", {"workload_hung": True, "connack_code": 5}, "drop"
    ),
    "workload-gone": Row(
        "no new token: the workload API is away",
        {"workload_gone": True, "connack_code": 5},
        "drop",
    ),
}
"""By name."""
