"""Azure AI Face 1.2, `detect`: where faces are, and never whose.

`returnFaceId=false`: no template is made and nothing is stored. To identify or verify a person is
not built at all: Microsoft gates it (403 UnsupportedFeature without an approval), and a line's
second opinion needs no names. A 403 of that kind is answered like any other wrong permission.

Source: azure-rest-api-specs, specification/ai/data-plane/Face, and a recorded session of it.
"""

from dataclasses import dataclass
from typing import Final

from verifier.http import Service, reading
from verifier.opinion import Limits, Opinion, Picture, Seen, Want, box_of

_MODEL: Final = "detection_03"


@dataclass(frozen=True, slots=True)
class FaceDetection:
    """One resource of Azure AI Face."""

    service: Service
    region: str
    name: str = "face"
    limits: Limits = Limits(max_bytes=6 * 1024 * 1024, min_px=36, max_px=4096)
    offers: frozenset[Want] = frozenset({Want.FACES})
    recipe: str = f"1.2 {_MODEL}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        answer = self.service.post(
            "/face/v1.2/detect",
            picture.jpeg,
            query={"detectionModel": _MODEL, "returnFaceId": "false"},
            content_type="application/octet-stream",
            timeout_s=timeout_s,
        )
        with reading(self.name):
            return _read(answer.json(), picture, answer.units)


def _read(faces: object, picture: Picture, units: int) -> Opinion:
    """Rectangles are in pixels of the picture that was sent; no confidence comes with them."""
    if not isinstance(faces, list):
        raise TypeError("no list of faces")
    size = (float(picture.width), float(picture.height))
    rectangles = [face["faceRectangle"] for face in faces]
    found = tuple(
        Seen("face", 1.0, box_of(r["left"], r["top"], r["width"], r["height"], of=size))
        for r in rectangles
    )
    return Opinion(objects=found, model=_MODEL, units=units)
