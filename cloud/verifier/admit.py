"""What is checked before anything is paid for: a bad picture is charged like a good one.

Azure charges a transaction for a 400 too (the recorded header `CSP-Billing-Usage` says so), so
whatever can be known here must be. Each fault has a short code, which is the label of a metric
and the reason in the dead letter. The same body gives the same fault each time, so none of
these is worth a second attempt.

Who sent it is taken from what IoT Hub stamped on the message, never from the body: a device
cannot speak in another's name.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from verifier.errors import PoisonMessage
from verifier.jpeg_header import jpeg_size
from verifier.ledger import Case
from verifier.opinion import Picture
from visionedge.wire import Escalation, InvalidMessage

MAX_BODY_BYTES: Final = 256 * 1024
"""IoT Hub takes no more, so a longer body did not come by it."""
MAX_PIXELS: Final = 50_000_000
_SCHEMA: Final = "escalation/1"


@dataclass(frozen=True, slots=True)
class Meta:
    """What the host knows of a message, besides its body.

    Attributes:
        device_id: Stamped by IoT Hub, as are all of these.
        module_id: Where the verdict goes.
        enqueued_at: When IoT Hub took it.
        position: Where it can be found again, such as `partition/offset`; for dead letters.
    """

    device_id: str
    module_id: str
    enqueued_at: datetime | None = None
    position: str = ""


@dataclass(frozen=True, slots=True)
class Admitted:
    """An escalation that may be asked about."""

    case: Case
    escalation: Escalation
    picture: Picture


def admit(body: bytes, meta: Meta) -> Admitted:
    """Check a message whole.

    Raises:
        PoisonMessage: with the code of what is wrong.
    """
    if not meta.device_id or not meta.module_id:
        raise PoisonMessage("IoT Hub did not say which module sent it", reason="no_sender")
    escalation = _parse(body)
    picture = _picture(escalation)
    case = Case(meta.device_id, meta.module_id, escalation.id, escalation.expires_at)
    return Admitted(case, escalation, picture)


def _parse(body: bytes) -> Escalation:
    if len(body) > MAX_BODY_BYTES:
        raise PoisonMessage(f"{len(body)} bytes", reason="too_large")
    try:
        message: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise PoisonMessage("the body is no JSON", reason="not_json") from None
    if not isinstance(message, dict) or message.get("schema") != _SCHEMA:
        raise PoisonMessage(f"the body is no {_SCHEMA}", reason="unknown_schema")
    try:
        return Escalation.read(message)
    except InvalidMessage as error:
        raise PoisonMessage(str(error), reason="bad_field") from None


def _picture(escalation: Escalation) -> Picture:
    stated = escalation.image
    try:
        jpeg = base64.b64decode(stated.data, validate=True)
    except (binascii.Error, ValueError):
        raise PoisonMessage("image.data is no base64", reason="not_base64") from None
    if len(jpeg) != stated.size_bytes:
        raise PoisonMessage(f"{len(jpeg)} bytes, not {stated.size_bytes}", reason="wrong_length")
    if hashlib.sha256(jpeg).hexdigest() != stated.sha256:
        raise PoisonMessage("image.sha256 is another picture's", reason="wrong_hash")
    try:
        width, height = jpeg_size(jpeg)
    except ValueError as error:
        raise PoisonMessage(f"the picture {error}", reason="not_jpeg") from None
    if (width, height) != (stated.width, stated.height):
        raise PoisonMessage(f"{width}x{height} px in the JPEG", reason="wrong_dimensions")
    if not 0 < width * height <= MAX_PIXELS:
        raise PoisonMessage(f"{width}x{height} px", reason="too_many_pixels")
    return Picture(jpeg, stated.sha256, width, height)
