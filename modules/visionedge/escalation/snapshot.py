"""From a doubtful frame to the envelope that asks about it.

Redact, choose the part that matters, encode it to what the message has left, and write
down what is needed to settle the answer. It runs in a worker of its own, after the frame
loop has let go of the frame, and takes as long as an inference.

The message fits by construction: everything but the picture is made and weighed first, and
the picture gets the rest (base64 makes four bytes of three), at most the settings' budget.

The spool's value of an escalation is that of its question: the doubt, more for a rare class.
It grows with what is lost with the message.
"""

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import (
    Decision,
    Detections,
    Envelope,
    Frame,
    Kind,
    Prediction,
    SecondOpinion,
    new_id,
)
from visionedge.escalation.claims import Claims, make_claims
from visionedge.escalation.jpeg import Area, Jpeg, encode
from visionedge.escalation.judging import doubted
from visionedge.escalation.redact import RedactedImage, Redactor
from visionedge.escalation.resolution import make_note
from visionedge.escalation.thresholds import Thresholds
from visionedge.runtime.clock import Clock, SystemClock
from visionedge.settings import Settings
from visionedge.wire import (
    MAX_MESSAGE_BYTES,
    DetectedObject,
    Escalation,
    FrameBody,
    ImageBody,
    ModelBody,
    NamedClass,
    SecondLookBody,
)

_CROP_MARGIN: Final = 0.5
"""Of the longer side, on every side: a defect is judged by what is around it."""
_LEAST_CROP_PX: Final = 256
"""Custom Vision scales up what is smaller; Image Analysis refuses what is below 50."""
_SLACK_BYTES: Final = 64
"""For digits that are known only when the picture is encoded."""
_PROPERTY_CHARS: Final = 128


class Snapshots:
    """Makes envelopes by one revision of the settings. Safe for many threads."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        self._settings = settings.escalation
        self._ttl = timedelta(seconds=settings.escalation.ttl_s)
        self._thresholds = {
            name: Thresholds(settings.decision_of(name)) for name in settings.cameras
        }
        self._floors = {
            name: settings.models[camera.model].floor for name, camera in settings.cameras.items()
        }
        self._redactor = Redactor(settings)
        self._clock = clock or SystemClock()

    def make(
        self,
        frame: Frame,
        prediction: Prediction,
        decision: Decision,
        model: ModelBody,
        second: SecondOpinion | None = None,
    ) -> tuple[Envelope, Mapping[str, object]]:
        """The envelope that asks about `frame`, and the note that settles its answer.

        Args:
            frame: the doubtful frame.
            prediction: what the model saw in it.
            decision: why it is asked.
            model: which model it was.
            second: what a second look on the device said.

        Returns:
            An envelope below `wire.MAX_MESSAGE_BYTES`; and a small object of JSON types, to
            be kept with it, that `resolution.resolve` takes when the verdict comes.

        Raises:
            RedactionError: what must not be seen could not be found; do not send the frame.
            KeyError: these settings do not know the camera, so nobody can say what must not
                be seen; do not send the frame.
        """
        image = self._redactor.redact(frame, prediction)
        floor, accept = (
            self._floors[frame.camera_id],
            self._thresholds[frame.camera_id].accept(prediction),
        )
        area = (0, 0, frame.width, frame.height)
        if self._settings.snapshot.crop and isinstance(prediction, Detections):
            asked = doubted(prediction, accept) & ~(prediction.confidence < floor)
            area = _around(prediction.xyxy[asked], area)
        claims = make_claims(prediction, accept, floor, area)
        draft = self._message(frame, decision, model, claims, area, image)
        if second is not None:
            told = self._second_look(frame, second, floor, area)
            draft = draft.model_copy(update={"second_look": told})
        properties = _properties(draft, claims)
        jpeg = self._encode(image, area, len(draft.encode()), properties)
        message = draft.model_copy(update={"image": _image_body(jpeg, area, image.masked)})
        envelope = Envelope(
            id=message.id,
            kind=Kind.ESCALATION,
            value=decision.question.value if decision.question else message.score,
            created_at=message.created_at,
            expires_at=message.expires_at,
            properties=properties,
            body=message.encode(),
        )
        return envelope, make_note(claims, self._settings.match_iou)

    def _message(
        self,
        frame: Frame,
        decision: Decision,
        model: ModelBody,
        claims: Claims,
        area: Area,
        image: RedactedImage,
    ) -> Escalation:
        """The message with an empty picture."""
        now = self._clock.utc()
        empty = Jpeg(b"", area[2] - area[0], area[3] - area[1], self._settings.snapshot.quality)
        return Escalation(
            id=new_id(),
            created_at=now,
            expires_at=now + self._ttl,
            camera=frame.camera_id,
            frame=FrameBody(
                seq=frame.seq,
                captured_at=frame.captured_at,
                width=frame.width,
                height=frame.height,
            ),
            model=model,
            reason=decision.question.reason if decision.question else decision.reason,
            score=decision.score,
            provisional=decision.provisional,
            settings_revision=decision.settings_revision,
            prediction=claims.body,
            image=_image_body(empty, area, image.masked),
        )

    def _second_look(
        self, frame: Frame, second: SecondOpinion, floor: float, area: Area
    ) -> SecondLookBody:
        seen = second.prediction
        claims = make_claims(seen, self._thresholds[frame.camera_id].accept(seen), floor, area)
        return SecondLookBody(by=second.by, agrees=second.agrees, prediction=claims.body)

    def _encode(
        self, image: RedactedImage, area: Area, rest_bytes: int, properties: Mapping[str, str]
    ) -> Jpeg:
        snapshot = self._settings.snapshot
        rest_bytes += sum(len(key) + len(value) for key, value in properties.items())
        left_bytes = (MAX_MESSAGE_BYTES - rest_bytes - _SLACK_BYTES) // 4 * 3
        return encode(
            image,
            area,
            max_side_px=snapshot.max_side_px,
            quality=snapshot.quality,
            max_bytes=min(snapshot.max_image_bytes, left_bytes),
        )


def _around(boxes: NDArray[np.float32], whole: Area) -> Area:
    """`boxes` and what is around them; `whole` where there is none."""
    if len(boxes) == 0:
        return whole
    x1, y1 = boxes[:, :2].min(axis=0).tolist()
    x2, y2 = boxes[:, 2:].max(axis=0).tolist()
    margin = _CROP_MARGIN * max(x2 - x1, y2 - y1)
    left, right = _span(x1 - margin, x2 + margin, whole[2])
    top, bottom = _span(y1 - margin, y2 + margin, whole[3])
    return left, top, right, bottom


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Whole pixels around `low`..`high`, at least the smallest crop, inside 0..`size`."""
    first, last = max(0, math.floor(low)), min(size, math.ceil(high))
    length = min(size, max(last - first, _LEAST_CROP_PX))
    start = min(max(0, (first + last - length) // 2), size - length)
    return start, start + length


def _image_body(jpeg: Jpeg, area: Area, masked: int) -> ImageBody:
    return ImageBody(
        width=jpeg.width,
        height=jpeg.height,
        crop=area,
        quality=jpeg.quality,
        masked=masked,
        sha256=hashlib.sha256(jpeg.body).hexdigest(),
        size_bytes=max(1, len(jpeg.body)),
        data=base64.b64encode(jpeg.body).decode("ascii"),
    )


def _properties(message: Escalation, claims: Claims) -> dict[str, str]:
    """What routes can filter by, without reading the body."""
    properties = {
        "schema": message.schema_name,
        "camera": message.camera,
        "reason": message.reason,
        "model": message.model.name,
        "label": _asked_label(claims),
    }
    return {key: _ascii(value) for key, value in properties.items() if value}


def _asked_label(claims: Claims) -> str:
    """The label of the best claim that is doubted, or of the best one; empty for none."""
    claimed: Sequence[DetectedObject | NamedClass] = claims.body.detections or claims.body.classes
    unsure = [claim for claim, doubt in zip(claimed, claims.doubted, strict=True) if doubt]
    return max(unsure or claimed, key=lambda claim: claim.confidence).label if claimed else ""


def _ascii(text: str) -> str:
    """`text` as a message property may hold it; percent-encoded where it is not ASCII."""
    text = text[:_PROPERTY_CHARS]
    return text if text.isascii() and text.isprintable() else quote(text, errors="replace")
