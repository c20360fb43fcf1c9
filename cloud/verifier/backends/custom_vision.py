"""Azure Custom Vision prediction 3.1: your own classifier or detector, trained on your defects.

Retires on 2028-09-25, and its client is archived: so REST, in the client's multipart form.
Pictures are sent to `nostore`: the other lane keeps each for 30 days and is half as fast.

`task` must be that of the project; a classifier's project has no detector's address.

Source: azure-rest-api-specs, CustomVision/Prediction/stable/v3.1.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

from verifier.backends.form import form_of
from verifier.http import Service, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Seen, Want, box_of


@dataclass(frozen=True, slots=True)
class CustomVision:
    """One published iteration of one project."""

    service: Service
    region: str
    project_id: str
    published_name: str
    task: Literal["classification", "detection"]
    name: str = "customvision"
    limits: Limits = Limits(max_bytes=4 * 1024 * 1024, max_px=10_240)

    @property
    def offers(self) -> frozenset[Want]:
        """Names or boxes, by the project's task."""
        return frozenset({Want.OBJECTS if self.task == "detection" else Want.LABELS})

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"3.1 {self.project_id} {self.published_name} {self.task}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once."""
        verb = "detect" if self.task == "detection" else "classify"
        project, published = quote(self.project_id, safe=""), quote(self.published_name, safe="")
        body, content_type = form_of("imageData", picture.jpeg)
        answer = self.service.post(
            f"/customvision/v3.1/prediction/{project}/{verb}/iterations/{published}/image/nostore",
            body,
            query={},
            content_type=content_type,
            timeout_s=timeout_s,
        )
        with reading(self.name):
            return _read(answer.json(), self.task, answer.units)


def _read(body: Mapping[str, Any], task: str, units: int) -> Opinion:
    predictions = body["predictions"]
    model = str(body.get("iteration", ""))
    if task == "classification":
        labels = tuple(Named(p["tagName"], p["probability"]) for p in predictions)
        return Opinion(labels=labels, model=model, units=units)
    return Opinion(objects=tuple(map(_seen, predictions)), model=model, units=units)


def _seen(prediction: Mapping[str, Any]) -> Seen:
    b = prediction["boundingBox"]
    box = box_of(b["left"], b["top"], b["width"], b["height"])
    return Seen(prediction["tagName"], prediction["probability"], box)
