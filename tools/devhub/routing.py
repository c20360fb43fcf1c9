"""IoT Hub's routes: which messages go to an endpoint, and what the hub stamps on them.

Of the query language this knows what a route on application properties needs: comparisons of a
property with a text by `=`, `!=` or `<>`, joined by AND and OR, without brackets. A condition that
it does not understand is an error, never a route that quietly takes nothing.

Source: Microsoft Learn, "IoT Hub message routing query syntax", "Read device-to-cloud messages".
"""

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devhub.ledger import DeviceMessage

_TERM: Final = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(=|!=|<>)\s*'([^']*)'\s*")
_AND: Final = re.compile(r"\s+AND\s+", re.IGNORECASE)
_OR: Final = re.compile(r"\s+OR\s+", re.IGNORECASE)


class BadCondition(ValueError):
    """The condition is none, or uses what is not played here."""


@dataclass(frozen=True, slots=True)
class _Term:
    name: str
    is_equal: bool
    value: str

    def holds(self, properties: Mapping[str, str]) -> bool:
        # A property that is absent is undefined, and so is its comparison: neither is true.
        found = properties.get(self.name)
        return found is not None and (found == self.value) is self.is_equal


class Route:
    """One route's condition.

    Args:
        condition: Such as `schema = 'escalation/1'`; `true` takes everything.

    Raises:
        BadCondition: It is not understood.
    """

    def __init__(self, condition: str) -> None:
        everything = condition.strip().casefold() == "true"
        # AND binds more tightly: one of these must hold whole.
        self._ways: list[list[_Term]] = (
            [[]]
            if everything
            else [[_term(text) for text in _AND.split(way)] for way in _OR.split(condition)]
        )

    def takes(self, message: DeviceMessage) -> bool:
        """Whether a message goes this way."""
        return any(all(term.holds(message.properties) for term in way) for way in self._ways)


def stamps(message: DeviceMessage) -> dict[str, str | dt.datetime]:
    """What IoT Hub writes on a message that it routes, as no device can."""
    return {
        "iothub-connection-device-id": message.device_id,
        "iothub-connection-module-id": message.module_id,
        "iothub-connection-auth-method": '{"scope":"module","type":"sas","issuer":"iothub"}',
        "iothub-enqueuedtime": message.received_at,
        "iothub-message-source": "Telemetry",
    }


def _term(text: str) -> _Term:
    found = _TERM.fullmatch(text)
    if found is None:
        raise BadCondition(f"{text!r} is no comparison of a property with a text")
    return _Term(found[1], found[2] == "=", found[3])
