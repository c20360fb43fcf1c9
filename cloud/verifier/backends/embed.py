"""A zero-shot check by multimodal embeddings: which of your sentences fits the picture best.

Azure AI Vision turns pictures and texts into vectors of one space (Florence); the cosine between
them says how well a text describes a picture. So a class needs a sentence and no training:
`{"ok": "a flawless circuit board", "scratch": "a circuit board with a scratch"}`.

Cosines of such models lie close together (0.15 to 0.35), so they are divided by a temperature
before the softmax, as CLIP does with the scale that it learned: 100, a temperature of 0.01 (arXiv:
2103.00020, section 2.3). Florence's own scale is not published: 0.01 is the default here, and
`visionedge calibrate` on your verdicts tells how far its confidences can be believed. They are
shares among your sentences, not chances: something that none of them describes still gets one.

Texts cost a call each, once a process: their vectors are kept. A picture is one call more. There
are no boxes, so it settles classifications. Retires with Image Analysis on 2028-09-25.

Source: Microsoft Learn, "Multimodal embeddings", API 2024-02-01, model 2023-04-15.
"""

import json
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from verifier.errors import BackendBusy
from verifier.http import Answer, Service, paid_before, reading
from verifier.opinion import Limits, Named, Opinion, Picture, Want

TEMPERATURE: Final = 0.01
_API: Final = "2024-02-01"
MODEL: Final = "2023-04-15"
_Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One resource, and the sentences that pictures are held against.

    Attributes:
        texts: a sentence for each label, two or more.
        temperature: what cosines are divided by; smaller is surer of itself.
    """

    service: Service
    region: str
    texts: Mapping[str, str]
    temperature: float = TEMPERATURE
    model: str = MODEL
    name: str = "embed"
    limits: Limits = Limits(max_bytes=20_971_520, min_px=10, max_px=16_000)
    offers: frozenset[Want] = frozenset({Want.LABELS})
    _known: dict[str, _Vector] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def recipe(self) -> str:
        """What else decides the answer."""
        texts = json.dumps(dict(self.texts), sort_keys=True)
        return f"{_API} {self.model} {self.temperature} {texts}"

    def paid_calls(self, want: frozenset[Want]) -> int:
        """The picture's, and one for each text whose vector is not known yet."""
        return 1 + len(self.texts.keys() - self._known.keys())

    def look(self, picture: Picture, want: frozenset[Want], timeout_s: float) -> Opinion:
        """Ask once; the texts first, where they are not known."""
        until_s = time.monotonic() + timeout_s
        with self._lock:
            # One thread learns the texts; the others would pay for the same vectors.
            units = self._learn(until_s)
        with paid_before(units > 0):
            answer = self._ask("Image", picture.jpeg, "application/octet-stream", until_s)
        with reading(self.name):
            seen = _vector(answer, self.model)
            self._forget_all_but(len(seen))
            shares = _softmax(
                [_cosine(seen, self._known[label]) / self.temperature for label in self.texts]
            )
            labels = tuple(map(Named, self.texts, shares))
        return Opinion(labels=labels, model=self.model, units=units + answer.units)

    def _learn(self, until_s: float) -> int:
        units = 0
        for label, text in self.texts.items():
            if label not in self._known:
                body = json.dumps({"text": text}).encode()
                with paid_before(units > 0):
                    answer = self._ask("Text", body, "application/json", until_s)
                with reading(self.name):
                    self._known[label] = _vector(answer, self.model)
                units += answer.units
        return units

    def _forget_all_but(self, length: int) -> None:
        """Let go of vectors of another length: kept, they would fail every picture to come.

        Raises:
            ValueError: there are some.
        """
        with self._lock:
            odd = [label for label, known in self._known.items() if len(known) != length]
            for label in odd:
                del self._known[label]
        if odd:
            raise ValueError(f"vectors of other lengths for {', '.join(odd)}")

    def _ask(self, what: str, body: bytes, content_type: str, until_s: float) -> Answer:
        if (left_s := until_s - time.monotonic()) <= 0:
            raise BackendBusy(f"{self.name} is too slow for all its texts", billed=False)
        return self.service.post(
            f"/computervision/retrieval:vectorize{what}",
            body,
            query={"api-version": _API, "model-version": self.model},
            content_type=content_type,
            timeout_s=left_s,
        )


def _vector(answer: Answer, model: str) -> _Vector:
    said = answer.json()
    if said["modelVersion"] != model:
        raise ValueError(f"a vector of model {said['modelVersion']}")
    vector = [float(number) for number in said["vector"]]
    if not math.hypot(*vector) > 0:
        raise ValueError("a vector of no length")
    return vector


def _cosine(one: _Vector, other: _Vector) -> float:
    dot = sum(a * b for a, b in zip(one, other, strict=True))
    return dot / (math.hypot(*one) * math.hypot(*other))


def _softmax(scores: Sequence[float]) -> list[float]:
    best = max(scores)
    weights = [math.exp(score - best) for score in scores]
    return [weight / sum(weights) for weight in weights]
