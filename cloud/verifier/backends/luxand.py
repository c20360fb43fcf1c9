"""Luxand.cloud, `photo/detect`: where faces are, for sites that have that service already.

Only detection is asked for. The same service recognises people by `photo/search`; that is not
built here: who wants a name needs consent, and `face.py` is the one place that asks for it.

Rectangles come as corners in pixels of the picture that was sent. The service says some failures
with a 200 and `"status": "failure"`: what it then says of the account is a wrong key, and anything
else is about this picture. An answer without faces is an empty list.

Source: documentation.luxand.cloud, "Face detection". No official body lies beside the project, so
the answer in the tests is written from that page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from verifier.backends.form import form_of
from verifier.errors import BackendMisconfigured, BackendRefused
from verifier.http import Service, reading
from verifier.opinion import Limits, Opinion, Picture, Seen, Want, box_of

ENDPOINT: Final = "https://api.luxand.cloud"
_ACCOUNT: Final = re.compile(r"token|auth|subscri|plan|quota|credit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Luxand:
    """One account."""

    service: Service
    region: str
    name: str = "luxand"
    limits: Limits = Limits(max_bytes=4 * 1024 * 1024, min_px=20, max_px=4096)
    offers: frozenset[Want] = frozenset({Want.FACES})
    recipe: str = "photo/detect"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        body, content_type = form_of("photo", picture.jpeg)
        answer = self.service.post(
            "/photo/detect", body, query={}, content_type=content_type, timeout_s=timeout_s
        )
        with reading(self.name):
            return _read(answer.json(), picture, answer.units)


def _read(said: object, picture: Picture, units: int) -> Opinion:
    if isinstance(said, dict) and said["status"] == "failure":
        message = str(said.get("message", ""))[:200]
        if _ACCOUNT.search(message):
            raise BackendMisconfigured(f"luxand: {message}", hint="check the token and the plan")
        raise BackendRefused(f"luxand: {message}")
    if not isinstance(said, list):
        raise TypeError("no list of faces")
    return Opinion(objects=tuple(_face(face, picture) for face in said), units=units)


def _face(face: Mapping[str, Any], picture: Picture) -> Seen:
    r = face["rectangle"]
    width, height = r["right"] - r["left"], r["bottom"] - r["top"]
    size = (float(picture.width), float(picture.height))
    box = box_of(r["left"], r["top"], width, height, of=size)
    return Seen("face", float(face.get("probability", 1.0)), box)
