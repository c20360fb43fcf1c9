"""Azure AI Document Intelligence 2024-11-30: text on labels and plates, and prebuilt documents.

`prebuilt-read` gives lines with their places; another model gives in addition the kind of document
and the fields that it knows, as names with their confidence (`invoiceid: 1234`).

An operation is begun and then asked for (`operation.py`). Boxes come in the page's unit, pixels
for a picture, and are divided by the page.

Source: azure-rest-api-specs, DocumentIntelligence/stable/2024-11-30.
"""

import base64
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from verifier.backends.operation import result_of
from verifier.http import Service, paid_before, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_around

_API: Final = "2024-11-30"


@dataclass(frozen=True, slots=True)
class DocumentIntelligence:
    """One model of one resource."""

    service: Service
    region: str
    model: str = "prebuilt-read"
    name: str = "docint"
    limits: Limits = Limits(max_bytes=4 * 1024 * 1024, min_px=50, max_px=10_000)
    offers: frozenset[Want] = frozenset({Want.TEXT, Want.LABELS})

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"{_API} {self.model}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once, and wait for the answer."""
        until_s = time.monotonic() + timeout_s
        begun = self.service.post(
            f"/documentintelligence/documentModels/{quote(self.model, safe='')}:analyze",
            json.dumps({"base64Source": base64.b64encode(picture.jpeg).decode()}).encode(),
            query={"api-version": _API},
            content_type="application/json",
            timeout_s=timeout_s,
        )
        with paid_before(True):
            document = result_of(self.service, begun, until_s)
        with reading(self.name):
            return _read(document["analyzeResult"], want, begun.units)


def _read(result: Mapping[str, Any], want: frozenset[Want], units: int) -> Opinion:
    return Opinion(
        texts=tuple(_lines(result)) if Want.TEXT in want else (),
        labels=tuple(_names(result)) if Want.LABELS in want else (),
        model=str(result["modelId"]),
        units=units,
    )


def _lines(result: Mapping[str, Any]) -> Iterator[Seen]:
    for page in result["pages"]:
        size = (float(page["width"]), float(page["height"]))
        sure = min((float(word["confidence"]) for word in page.get("words", ())), default=1.0)
        for line in page.get("lines", ()):
            numbers = [float(n) for n in line["polygon"]]
            points = list(zip(numbers[::2], numbers[1::2], strict=True))
            yield Seen(line["content"], sure, box_around(points, of=size))


def _names(result: Mapping[str, Any]) -> Iterator[Named]:
    for document in result.get("documents", ()):
        yield Named(document["docType"], document["confidence"])
        for field, value in document.get("fields", {}).items():
            if value and "content" in value:
                yield Named(f"{field}: {value['content']}", value.get("confidence", 0.0))
