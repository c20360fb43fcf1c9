"""Azure Computer Vision 3.2, `analyze`: brands, categories, adult content, faces and colour.

For what Image Analysis 4.0 no longer has. Versions below 3.2 were retired on 2026-09-13, and the
vendor's client is no longer maintained, so its official example is the only oracle.

Celebrities and landmarks are never asked for, and no name of a person leaves this file: `details`
is not sent, and captions, which may name people, are not offered.

Source: azure-rest-api-specs, ComputerVision/stable/v3.2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from verifier.http import Service, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_of

_FEATURES: Final = {
    Want.LABELS: "Tags",
    Want.OBJECTS: "Objects",
    Want.BRANDS: "Brands",
    Want.CATEGORIES: "Categories",
    Want.ADULT: "Adult",
    Want.FACES: "Faces",
    Want.COLOR: "Color",
}


@dataclass(frozen=True, slots=True)
class ComputerVision32:
    """One resource of Computer Vision 3.2."""

    service: Service
    region: str
    language: str = "en"
    model_version: str = "latest"
    name: str = "cv32"
    limits: Limits = Limits(max_bytes=4 * 1024 * 1024, min_px=50, max_px=16_000)
    offers: frozenset[Want] = frozenset(_FEATURES)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"3.2 {self.model_version} {self.language}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        features = [feature for each, feature in _FEATURES.items() if each in want]
        query = {"visualFeatures": ",".join(features), "language": self.language}
        answer = self.service.post(
            "/vision/v3.2/analyze",
            picture.jpeg,
            query=query | {"model-version": self.model_version},
            content_type="application/octet-stream",
            timeout_s=timeout_s,
        )
        with reading(self.name):
            return _read(answer.json(), want, answer.units)


def _read(body: Mapping[str, Any], want: frozenset[Want], units: int) -> Opinion:
    size = (float(body["metadata"]["width"]), float(body["metadata"]["height"]))
    got = {each: body[_FEATURES[each].lower()] for each in want}
    things = [_seen(v["object"], v["confidence"], v, size) for v in got.get(Want.OBJECTS, ())]
    things += [_seen(v["name"], v["confidence"], v, size) for v in got.get(Want.BRANDS, ())]
    things += [_face(v["faceRectangle"], size) for v in got.get(Want.FACES, ())]
    labels = [Named(v["name"], v["confidence"]) for v in got.get(Want.LABELS, ())]
    labels += [Named(v["name"], v["score"]) for v in got.get(Want.CATEGORIES, ())]
    if Want.ADULT in want:
        adult = got[Want.ADULT]
        labels += [Named(n, adult[f"{k}Score"]) for n, k in _ADULT.items()]
    return Opinion(
        objects=tuple(things),
        labels=tuple(labels),
        traits=_colors(got[Want.COLOR]) if Want.COLOR in want else {},
        model=str(body.get("modelVersion", "")),
        units=units,
    )


_ADULT: Final = {"adult": "adult", "racy": "racy", "gory": "gore"}


def _seen(name: str, sure: float, value: Mapping[str, Any], size: tuple[float, float]) -> Seen:
    r = value["rectangle"]
    return Seen(name, sure, box_of(r["x"], r["y"], r["w"], r["h"], of=size))


def _face(r: Mapping[str, float], size: tuple[float, float]) -> Seen:
    """Faces come without a confidence: what is listed was found."""
    return Seen("face", 1.0, box_of(r["left"], r["top"], r["width"], r["height"], of=size))


def _colors(color: Mapping[str, Any]) -> dict[str, str]:
    return {
        "foreground": str(color["dominantColorForeground"]),
        "background": str(color["dominantColorBackground"]),
        "accent": str(color["accentColor"]),
    }
