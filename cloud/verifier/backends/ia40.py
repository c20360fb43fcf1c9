"""Azure AI Vision, Image Analysis 4.0: `imageanalysis:analyze`, api-version 2023-10-01.

Retires on 2028-09-25; Content Understanding is what Microsoft names as its successor.

All seven features can be wanted and each is charged, so only those are sent. Boxes come in
pixels of the picture as the service saw it (`metadata`), and are divided by that. A 200 that
lacks what was wanted is treated as no answer: the vendor's client reads it as None everywhere.

Caption and dense captions exist in some regions only; elsewhere the service answers 400.

Source: azure-rest-api-specs, specification/ai/ImageAnalysis, 2023-10-01.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from verifier.http import Service, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_around, box_of

_FEATURES: Final = {
    Want.LABELS: ("tags", "tagsResult"),
    Want.OBJECTS: ("objects", "objectsResult"),
    Want.CAPTION: ("caption", "captionResult"),
    Want.DENSE_CAPTIONS: ("denseCaptions", "denseCaptionsResult"),
    Want.TEXT: ("read", "readResult"),
    Want.CROPS: ("smartCrops", "smartCropsResult"),
    Want.PEOPLE: ("people", "peopleResult"),
}
Size = tuple[float, float]


@dataclass(frozen=True, slots=True)
class ImageAnalysis40:
    """One resource of Image Analysis 4.0."""

    service: Service
    region: str
    language: str = "en"
    model_version: str = "latest"
    name: str = "ia40"
    limits: Limits = Limits(max_bytes=20_971_520, min_px=50, max_px=16_000)
    offers: frozenset[Want] = frozenset(_FEATURES)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"2023-10-01 {self.model_version} {self.language}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        features = [feature for each, (feature, _) in _FEATURES.items() if each in want]
        query = {"api-version": "2023-10-01", "features": ",".join(features)}
        query |= {"language": self.language, "model-version": self.model_version}
        answer = self.service.post(
            "/computervision/imageanalysis:analyze",
            picture.jpeg,
            query=query,
            content_type="application/octet-stream",
            timeout_s=timeout_s,
        )
        with reading(self.name):
            return _read(answer.json(), want, answer.units)


def _read(body: Mapping[str, Any], want: frozenset[Want], units: int) -> Opinion:
    size = (float(body["metadata"]["width"]), float(body["metadata"]["height"]))
    results = {each: body[_FEATURES[each][1]] for each in want}

    def part(each: Want, one: Callable[[Mapping[str, Any], Size], Seen]) -> tuple[Seen, ...]:
        return tuple(one(value, size) for value in results.get(each, _NOTHING)["values"])

    blocks = results.get(Want.TEXT, _NOTHING)["blocks"]
    caption = results.get(Want.CAPTION)
    return Opinion(
        objects=part(Want.OBJECTS, _object) + part(Want.PEOPLE, _person),
        labels=tuple(map(_named, results.get(Want.LABELS, _NOTHING)["values"])),
        texts=tuple(_line(line, size) for block in blocks for line in block["lines"]),
        regions=part(Want.DENSE_CAPTIONS, _described) + part(Want.CROPS, _crop),
        caption=Named(caption["text"], caption["confidence"]) if caption else None,
        model=str(body.get("modelVersion", "")),
        units=units,
    )


_NOTHING: Final[Mapping[str, Any]] = {"values": (), "blocks": ()}


def _named(value: Mapping[str, Any]) -> Named:
    return Named(value["name"], value["confidence"])


def _object(value: Mapping[str, Any], size: Size) -> Seen:
    best = max(value["tags"], key=lambda tag: float(tag["confidence"]))
    return Seen(best["name"], best["confidence"], _box(value["boundingBox"], size))


def _person(value: Mapping[str, Any], size: Size) -> Seen:
    return Seen("person", value["confidence"], _box(value["boundingBox"], size))


def _described(value: Mapping[str, Any], size: Size) -> Seen:
    return Seen(value["text"], value["confidence"], _box(value["boundingBox"], size))


def _crop(value: Mapping[str, Any], size: Size) -> Seen:
    return Seen(f"crop {value['aspectRatio']:g}", 1.0, _box(value["boundingBox"], size))


def _line(line: Mapping[str, Any], size: Size) -> Seen:
    """A line is as sure as its least sure word."""
    sure = min((float(word["confidence"]) for word in line["words"]), default=0.0)
    points = [(float(p["x"]), float(p["y"])) for p in line["boundingPolygon"]]
    return Seen(line["text"], sure, box_around(points, of=size))


def _box(box: Mapping[str, float], size: Size) -> tuple[float, float, float, float]:
    return box_of(box["x"], box["y"], box["w"], box["h"], of=size)
