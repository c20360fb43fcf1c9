"""A loopback IoT Hub and workload API for the real device SDK, with faults on demand.

    with DevHub() as hub:
        os.environ.update(hub.environment())
        client = IoTHubModuleClient.create_from_edge_environment()

See `devhub.hub.DevHub` for what it can do and `devhub.verifier.Verifier` for the cloud that
answers escalations.
"""

from devhub.errors import (
    AddressUnavailable,
    DevHubError,
    HubClosed,
    MethodTimeout,
    ModuleNotConnected,
    ScriptError,
    WaitTimeout,
)
from devhub.events import HubEvent
from devhub.faults import Faults
from devhub.hub import DevHub
from devhub.identity import MethodResponse
from devhub.ledger import DeviceMessage, Tally
from devhub.rows import ROWS, Row
from devhub.script import Script

__all__ = [
    "AddressUnavailable",
    "DevHub",
    "DevHubError",
    "DeviceMessage",
    "Faults",
    "HubClosed",
    "HubEvent",
    "MethodResponse",
    "MethodTimeout",
    "ModuleNotConnected",
    "ROWS",
    "Row",
    "Script",
    "ScriptError",
    "Tally",
    "WaitTimeout",
]
