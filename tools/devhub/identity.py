"""A module as the hub knows it: its name, key, twin, session and present link."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from devhub.link import Link
from devhub.session import Session
from devhub.twin import DesiredPatch, Twin

_KEY_BYTES = 32


@dataclass(slots=True, eq=False)
class Identity:
    """One module identity of the device.

    Attributes:
        key: What its tokens are signed with; made anew for every hub.
        link: The open connection, or None.
        held_patches: Pushes that the reorder fault holds back.
        newest_token: The signature of the token that came last, and when it came first.
    """

    device_id: str
    module_id: str
    key: bytes = field(default_factory=lambda: secrets.token_bytes(_KEY_BYTES), repr=False)
    generation_id: str = field(default_factory=lambda: secrets.token_hex(8))
    twin: Twin = field(default_factory=Twin)
    session: Session = field(default_factory=Session)
    link: Link | None = None
    held_patches: list[DesiredPatch] = field(default_factory=list)
    newest_token: tuple[bytes, float] = field(default=(b"", 0.0), repr=False)

    def seen_first_s(self, signature: bytes, now_s: float) -> float:
        """When the token with this signature came first; takes note of one that is new."""
        if self.newest_token[0] != signature:
            self.newest_token = (signature, now_s)
        return self.newest_token[1]

    @property
    def client_id(self) -> str:
        """The MQTT client id that it must use."""
        return f"{self.device_id}/{self.module_id}"

    def resource(self, iothub_hostname: str) -> str:
        """What its tokens must name."""
        return f"{iothub_hostname}/devices/{self.device_id}/modules/{self.module_id}"


@dataclass(frozen=True, slots=True)
class MethodResponse:
    """What a module answered to a direct method."""

    status: int
    # Whatever JSON the module chose to answer.
    payload: Any
