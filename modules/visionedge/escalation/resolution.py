"""How a verdict settles an escalation, perhaps days later and after a restart.

Everything that is needed is a small note, kept with the envelope: what was claimed of the
picture that was sent. So settling is a pure function of note and verdict, and gives the
same end any number of times, in whatever order the verdict lists its boxes.

Boxes are the same object when they overlap enough, whatever they are called; the best
overlap is joined first. Two boxes of ours may lie on one object, as detectors suppress
overlap only within a class: a name that agrees therefore outweighs a slightly better
overlap. Names are compared without case and separators.

A frame has one outcome, that of the worst thing found in it, by what it costs on a line:

    missed      an object nobody pointed at goes on along the line, in silence
    corrected   an object goes the wrong way
    rejected    a claim without an object costs a look
    confirmed   nothing was wrong

A claim below its threshold is a claim: it was asked about, and "rejected" or "confirmed" is
the answer. What it says about thresholds is told apart by `doubted` in the note.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Outcome, Resolution
from visionedge.escalation.claims import Claims
from visionedge.escalation.thresholds import label_key
from visionedge.wire import DetectedObject, NamedClass, Verdict

_AGREEMENT: Final = 0.2
"""What an equal name is worth in overlap when two pairs compete for one box."""
_PRECEDENCE: Final = (Outcome.MISSED, Outcome.CORRECTED, Outcome.REJECTED, Outcome.CONFIRMED)


@dataclass(frozen=True, slots=True)
class _Count:
    """Claims and objects of each kind."""

    confirmed: int = 0
    corrected: int = 0
    rejected: int = 0
    missed: int = 0

    def worst(self) -> Outcome:
        """The outcome of the frame; an empty scene that is called empty is confirmed."""
        found = (outcome for outcome in _PRECEDENCE if getattr(self, outcome.value))
        return next(found, Outcome.CONFIRMED)


def make_note(claims: Claims, match_iou: float) -> dict[str, object]:
    """What must be kept to settle the escalation later; JSON types only."""
    body = claims.body
    return {
        "task": body.task,
        "independent": claims.independent,
        "match_iou": match_iou,
        "claims": [
            claim.model_dump(mode="json", exclude={"class_id"}) | {"doubted": doubt}
            for claim, doubt in zip(body.detections or body.classes, claims.doubted, strict=True)
        ],
    }


def resolve(note: Mapping[str, Any], verdict: Verdict) -> Resolution:
    """The end of an escalation.

    Args:
        note: of `make_note`, as it was kept.
        verdict: the second opinion. One that gave up, or that answers another question than
            was asked (classes where boxes were claimed, or the other way round), settles
            nothing: the local word stands, as when nobody had answered.
    """
    count = _count(note, verdict)
    return Resolution(
        escalation_id=verdict.escalation_id,
        outcome=Outcome.EXPIRED if count is None else count.worst(),
        resolved_at=verdict.verified_at.astimezone(UTC),
        verifier=verdict.verifier.name,
        confirmed=count.confirmed if count else 0,
        corrected=count.corrected if count else 0,
        rejected=count.rejected if count else 0,
        missed=count.missed if count else 0,
    )


def _count(note: Mapping[str, Any], verdict: Verdict) -> _Count | None:
    task: Literal["detection", "classification"] = note["task"]
    asked, other = verdict.detections, verdict.classes
    if verdict.status != "verified":
        return None
    if task == "detection":
        return None if other and not asked else _count_boxes(note, asked)
    if asked and not other:
        return None
    return _count_each(note, other) if note["independent"] else _count_best(note, other)


def _count_best(note: Mapping[str, Any], classes: list[NamedClass]) -> _Count:
    """Classes compete: the best of ours against the best of theirs."""
    if not note["claims"] or not classes:
        return _Count(rejected=1) if note["claims"] else _Count(missed=int(bool(classes)))
    ours = max(note["claims"], key=lambda claim: float(claim["confidence"]))
    # Of equal confidence the first in the alphabet, so that their order does not matter.
    theirs = min(classes, key=lambda c: (-c.confidence, label_key(c.label)))
    agreed = label_key(ours["label"]) == label_key(theirs.label)
    return _Count(confirmed=1) if agreed else _Count(corrected=1)


def _count_each(note: Mapping[str, Any], classes: list[NamedClass]) -> _Count:
    """Classes stand by themselves: ours against theirs, as sets."""
    ours = {label_key(claim["label"]) for claim in note["claims"]}
    theirs = {label_key(c.label) for c in classes}
    return _Count(
        confirmed=len(ours & theirs), rejected=len(ours - theirs), missed=len(theirs - ours)
    )


def _count_boxes(note: Mapping[str, Any], detections: list[DetectedObject]) -> _Count:
    claims = note["claims"]
    ours = _upright([claim["box"] for claim in claims])
    # In an order of their own, so that the order of the message does not matter.
    listed = sorted(detections, key=lambda d: (d.box, label_key(d.label)))
    theirs = _upright([d.box for d in listed])
    agree = np.equal.outer(
        np.array([label_key(claim["label"]) for claim in claims], dtype=np.str_),
        np.array([label_key(d.label) for d in listed], dtype=np.str_),
    )
    pairs = _matched(_iou(ours, theirs), agree, float(note["match_iou"]))
    confirmed = sum(bool(agree[pair]) for pair in pairs)
    return _Count(
        confirmed=confirmed,
        corrected=len(pairs) - confirmed,
        rejected=len(ours) - len(pairs),
        missed=len(theirs) - len(pairs),
    )


def _matched(
    iou: NDArray[np.float64], agree: NDArray[np.bool_], match_iou: float
) -> list[tuple[int, int]]:
    """Pairs of one of ours and one of theirs, the best first, each box once at most."""
    rank = np.where((iou >= match_iou) & (iou > 0), iou + _AGREEMENT * agree, -1.0)
    pairs: list[tuple[int, int]] = []
    for _ in range(min(rank.shape)):
        row, column = divmod(int(rank.argmax()), rank.shape[1])
        if rank[row, column] < 0:
            break
        pairs.append((row, column))
        rank[row, :] = rank[:, column] = -1.0
    return pairs


def _upright(boxes: list[Any]) -> NDArray[np.float64]:
    """(n, 4) x1 <= x2, y1 <= y2, whatever corners the verifier began with."""
    corners = np.array(boxes, dtype=np.float64).reshape(-1, 2, 2)
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


def _iou(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, m) intersection over union; 0 for boxes without area."""
    low = np.maximum(ours[:, None, :2], theirs[None, :, :2])
    high = np.minimum(ours[:, None, 2:], theirs[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    union = np.add.outer(_areas(ours), _areas(theirs)) - shared
    iou: NDArray[np.float64] = np.divide(shared, union, out=np.zeros(shared.shape), where=union > 0)
    return iou


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
