"""From an opinion to `verdict/1`: our names, only what is sure enough, and one question.

The module asked either for boxes or for names of the whole picture, and a verdict that answers
the other question settles nothing there. So a detection is answered with objects; only a service
that has none, by its nature, answers with names, and the module's own word then stands. A
classification is answered with names, and an object counts as a name of the picture it is in.

The id of a verdict follows from that of its escalation: composed twice, it is the same verdict.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Final

from verifier.agreement import agreement
from verifier.labels import LabelMap
from verifier.opinion import Named, Opinion, Seen, Want
from visionedge.wire import (
    MAX_OBJECTS,
    DetectedObject,
    Escalation,
    NamedClass,
    Verdict,
    VerifierBody,
)

_BOXES: Final = frozenset({Want.OBJECTS, Want.PEOPLE, Want.FACES, Want.BRANDS})
_MAX_TEXTS: Final = 100
_MAX_TEXT: Final = 1024
MAX_BYTES: Final = 100 * 1024
"""Of a verdict: a direct method takes 128 KiB."""


@dataclass(frozen=True, slots=True)
class Composer:
    """Turns opinions into verdicts.

    Args:
        labels: From the service's names to the model's.
        min_confidence: What the service is less sure of is left out.
    """

    labels: LabelMap = field(default_factory=LabelMap)
    min_confidence: float = 0.5

    def compose(
        self,
        escalation: Escalation,
        opinion: Opinion,
        offered: frozenset[Want],
        name: str,
        now: datetime,
    ) -> Verdict:
        """The verdict of a service called `name`, of which `offered` was asked."""
        local = escalation.prediction
        detections = self._detections(opinion.objects)
        classes = self._classes(opinion)
        if local.task == "classification":
            detections = []
        elif offered & _BOXES:
            classes = []
        whole = Verdict(
            verdict_id=verdict_id(escalation.id),
            escalation_id=escalation.id,
            verified_at=now,
            verifier=VerifierBody(name=name, version=opinion.model[:256]),
            detections=detections,
            classes=classes,
            agreement=agreement(local, detections, classes),
            caption=opinion.caption.name[:_MAX_TEXT] if opinion.caption else None,
            texts=[text.name[:_MAX_TEXT] for text in opinion.texts[:_MAX_TEXTS]],
        )
        return _fitting(whole)

    def _detections(self, objects: tuple[Seen, ...]) -> list[DetectedObject]:
        found = []
        for seen in sorted(objects, key=lambda seen: -seen.confidence):
            label = self.labels.ours(seen.name)
            has_area = seen.box[0] < seen.box[2] and seen.box[1] < seen.box[3]
            if label and has_area and seen.confidence >= self.min_confidence:
                found.append(DetectedObject(label=label, confidence=seen.confidence, box=seen.box))
        return found[:MAX_OBJECTS]

    def _classes(self, opinion: Opinion) -> list[NamedClass]:
        best: dict[str, float] = {}
        everything: chain[Named | Seen] = chain(opinion.labels, opinion.objects)
        for one in everything:
            label = self.labels.ours(one.name)
            if label and one.confidence >= self.min_confidence:
                best[label] = max(best.get(label, 0.0), one.confidence)
        ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))
        return [NamedClass(label=label, confidence=sure) for label, sure in ranked[:MAX_OBJECTS]]


def _fitting(verdict: Verdict) -> Verdict:
    """What a direct method takes: the surest of it, where all is too long."""
    while len(verdict.encode()) > MAX_BYTES:
        lists = ("detections", "classes", "texts")
        longest = max(lists, key=lambda name: len(str(getattr(verdict, name))))
        kept = getattr(verdict, longest)
        verdict = verdict.model_copy(update={longest: kept[: len(kept) // 2]})
    return verdict


def gave_up(escalation: Escalation, name: str, reason: str, now: datetime) -> Verdict:
    """The verdict that says that there is none: the module's own word stands."""
    return Verdict(
        verdict_id=verdict_id(escalation.id),
        escalation_id=escalation.id,
        verified_at=now,
        verifier=VerifierBody(name=name),
        status="unverified",
        reason=reason,
    )


def verdict_id(escalation_id: str) -> str:
    """The id of the one verdict on an escalation."""
    return hashlib.sha256(f"verdict of {escalation_id}".encode()).hexdigest()[:32]
