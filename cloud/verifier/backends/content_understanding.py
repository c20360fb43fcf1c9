"""Azure AI Content Understanding, 2025-11-01: what Microsoft names as the successor of both
Image Analysis 4.0 and Custom Vision classification.

An analyzer of yours defines the fields; this reads those that classify or that are booleans, as
names of the picture: `defect: scratch`, or the bare value of a field called `label`. It has no
boxes, so it settles classifications; for a detection its names are sent as what they are.

A field without a confidence is taken as certain enough to be heard (0.5), not more.

Source: azure-ai-contentunderstanding 1.1.0 and the recorded sessions of its tests.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from verifier.backends.operation import result_of
from verifier.http import Service, paid_before, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Want

_API: Final = "2025-11-01"
_UNSAID: Final = 0.5
_VALUES: Final = {"string": "valueString", "boolean": "valueBoolean"}
_BARE: Final = "label"


@dataclass(frozen=True, slots=True)
class ContentUnderstanding:
    """One analyzer of one resource."""

    service: Service
    region: str
    analyzer: str
    name: str = "contentunderstanding"
    limits: Limits = Limits(max_bytes=20_971_520, min_px=50, max_px=10_000)
    offers: frozenset[Want] = frozenset({Want.LABELS})

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        return f"{_API} {self.analyzer}"

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once, and wait for the answer."""
        until_s = time.monotonic() + timeout_s
        begun = self.service.post(
            f"/contentunderstanding/analyzers/{quote(self.analyzer, safe='')}:analyzeBinary",
            picture.jpeg,
            query={"stringEncoding": "codePoint", "api-version": _API},
            content_type="application/octet-stream",
            timeout_s=timeout_s,
        )
        with paid_before(True):
            document = result_of(self.service, begun, until_s)
        with reading(self.name):
            result = document["result"]
            labels = tuple(_labels(result))
            return Opinion(labels=labels, model=self.analyzer, units=begun.units)


def _labels(result: Mapping[str, Any]) -> Iterator[Named]:
    for content in result["contents"]:
        for field, value in content.get("fields", {}).items():
            kind = value["type"]
            said = value.get(_VALUES.get(kind, ""))
            if said is None or said is False:
                continue
            name = field if said is True else said if field == _BARE else f"{field}: {said}"
            yield Named(str(name)[:256], float(value.get("confidence", _UNSAID)))
