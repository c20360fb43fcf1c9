"""Azure AI Face 1.2: where faces are; and whose, only where consent was recorded.

To detect needs no template: `returnFaceId=false`, and nothing is stored. To identify makes one (it
is kept for a minute), and compares it with a group of persons that you enrolled. That is refused
unless the settings say `consent`: a person answers for it that those who are enrolled have agreed.
What comes back is the id that a person has in your group, never a name.

Microsoft gates identification ("Limited Access"): without its approval the service says 403
UnsupportedFeature, which no second attempt will change.

Source: azure-rest-api-specs, specification/ai/data-plane/Face, and a recorded session of it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from verifier.errors import BackendBusy, BackendMisconfigured, SettingsRefused
from verifier.http import Answer, Service, paid_before, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_of

_MODEL: Final = "detection_03"
_RECOGNITION: Final = "recognition_04"
_KEPT_S: Final = 60
"""The least that the service allows a template to live."""
_MOST_FACES: Final = 10
"""That one call identifies."""


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """One resource of Azure AI Face.

    Attributes:
        person_group: a large person group; empty identifies nobody.
        consent: those who are enrolled in it have agreed.

    Raises:
        SettingsRefused: a group without consent.
    """

    service: Service
    region: str
    person_group: str = ""
    consent: bool = False
    name: str = "face"
    limits: Limits = Limits(max_bytes=6 * 1024 * 1024, min_px=36, max_px=4096)

    def __post_init__(self) -> None:
        if self.person_group and not self.consent:
            raise SettingsRefused(
                "backend.person_group: nobody is identified without consent",
                hint="set backend.consent to true if all who are enrolled have agreed",
            )

    @property
    def offers(self) -> frozenset[Want]:
        """Faces, and who they are where consent was recorded."""
        identifies = {Want.IDENTITIES} if self.person_group else set[Want]()
        return frozenset({Want.FACES} | identifies)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"1.2 {_MODEL} {self.person_group}"

    def paid_calls(self, want: frozenset[Want]) -> int:
        """To identify is a second call, where there is a face."""
        return 2 if Want.IDENTITIES in want else 1

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        until_s = time.monotonic() + timeout_s
        identifies = Want.IDENTITIES in want
        query = {"detectionModel": _MODEL, "returnFaceId": str(identifies).lower()}
        if identifies:
            query |= {"recognitionModel": _RECOGNITION, "faceIdTimeToLive": str(_KEPT_S)}
        answer = self._post("/detect", picture.jpeg, query, "application/octet-stream", until_s)
        with reading(self.name):
            faces = _faces(answer.json())
            found = tuple(_seen(face["faceRectangle"], picture) for face in faces)
            ids = [str(face["faceId"]) for face in faces[:_MOST_FACES]] if identifies else []
        labels, units = self._identified(ids, until_s) if ids else ((), 0)
        return Opinion(objects=found, labels=labels, model=_MODEL, units=answer.units + units)

    def _identified(self, ids: Sequence[str], until_s: float) -> tuple[tuple[Named, ...], int]:
        wanted = {"faceIds": ids, "largePersonGroupId": self.person_group}
        body = json.dumps(wanted).encode()
        with paid_before(True):
            answer = self._post("/identify", body, {}, "application/json", until_s)
        with reading(self.name):
            best = [each["candidates"][0] for each in answer.json() if each["candidates"]]
            return tuple(Named(c["personId"], c["confidence"]) for c in best), answer.units

    def _post(
        self, path: str, body: bytes, query: Mapping[str, str], content_type: str, until_s: float
    ) -> Answer:
        if (left_s := until_s - time.monotonic()) <= 0:
            raise BackendBusy(f"{self.name} is too slow for all that is wanted")
        try:
            return self.service.post(
                f"/face/v1.2{path}", body, query=query, content_type=content_type, timeout_s=left_s
            )
        except BackendMisconfigured as error:
            if "UnsupportedFeature" in str(error):
                raise BackendMisconfigured(
                    "face: this resource may not identify people (403 UnsupportedFeature)",
                    hint="apply for Limited Access, or take `identities` out of `want`",
                ) from None
            raise


def _faces(said: object) -> list[Mapping[str, Any]]:
    if not isinstance(said, list):
        raise TypeError("no list of faces")
    return said


def _seen(r: Mapping[str, float], picture: Picture) -> Seen:
    """A rectangle in pixels of the picture that was sent; no confidence comes with it."""
    size = (float(picture.width), float(picture.height))
    return Seen("face", 1.0, box_of(r["left"], r["top"], r["width"], r["height"], of=size))
