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

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Outcome, Resolution
from visionedge.escalation.claims import Claims
from visionedge.escalation.thresholds import label_key
from visionedge.overlap import iou
from visionedge.wire import DetectedObject, NamedClass, Verdict

_AGREEMENT: Final = 0.2
"""What an equal name is worth in overlap when two pairs compete for one box."""
_PRECEDENCE: Final = (Outcome.MISSED, Outcome.CORRECTED, Outcome.REJECTED, Outcome.CONFIRMED)


_Fate = tuple[str, Outcome, float | None]
"""The label of one claim or object, what became of it, and how sure we were of a claim."""


def _worst(fates: list[_Fate]) -> Outcome:
    """The outcome of the frame; an empty scene that is called empty is confirmed."""
    found = {outcome for _, outcome, _ in fates}
    return next((outcome for outcome in _PRECEDENCE if outcome in found), Outcome.CONFIRMED)


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
    at, verifier = _utc(verdict.verified_at), verdict.verifier.name
    return _ended(verdict.escalation_id, _fates(note, verdict), at, verifier)


def _utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC)
    except OverflowError:
        # A default of some languages, midnight of year 1 by local time: its verdict counts.
        return at.replace(tzinfo=UTC)


def by_operator(
    escalation_id: str, note: Mapping[str, Any], word: Outcome, label: str, by: str, now: datetime
) -> Resolution:
    """The end of an escalation by the word of a person who has seen the part.

    Args:
        escalation_id: of the envelope.
        note: of `make_note`, as it was kept.
        word: of all claims; `missed` says that they were right and something more was there.
        label: of what was missed, or what it is instead; may be empty.
        by: who said so; empty for somebody.
        now: UTC.
    """
    claims, of_claims = note["claims"], Outcome.CONFIRMED if word is Outcome.MISSED else word
    fates: list[_Fate] = [(c["label"], of_claims, float(c["confidence"])) for c in claims]
    if word is Outcome.MISSED:
        fates.append((label, Outcome.MISSED, None))
    return _ended(escalation_id, fates, now, f"operator:{by}" if by else "operator", word)


def _ended(
    escalation_id: str,
    fates: list[_Fate] | None,
    at: datetime,
    verifier: str,
    outcome: Outcome | None = None,
) -> Resolution:
    counts = Counter(became for _, became, _ in fates or ())
    return Resolution(
        escalation_id=escalation_id,
        outcome=outcome or (Outcome.EXPIRED if fates is None else _worst(fates)),
        resolved_at=at,
        verifier=verifier,
        confirmed=counts[Outcome.CONFIRMED],
        corrected=counts[Outcome.CORRECTED],
        rejected=counts[Outcome.REJECTED],
        missed=counts[Outcome.MISSED],
        agreement=tuple(sorted((name, became) for name, became, _ in fates or ())),
        judged=tuple(
            (name, confidence, became is Outcome.CONFIRMED)
            for name, became, confidence in fates or ()
            if confidence is not None
        ),
    )


def _fates(note: Mapping[str, Any], verdict: Verdict) -> list[_Fate] | None:
    task: Literal["detection", "classification"] = note["task"]
    asked, other = verdict.detections, verdict.classes
    if verdict.status != "verified":
        return None
    if task == "detection":
        return None if other and not asked else _of_boxes(note, asked)
    if asked and not other:
        return None
    return _of_each(note, other) if note["independent"] else _of_best(note, other)


def _of_best(note: Mapping[str, Any], classes: list[NamedClass]) -> list[_Fate]:
    """Classes compete: the best of ours against the best of theirs."""
    # Of equal confidence the first in the alphabet, so that their order does not matter.
    theirs = min(classes, key=lambda c: (-c.confidence, label_key(c.label), c.label), default=None)
    ours = max(note["claims"], key=lambda claim: float(claim["confidence"]), default=None)
    if ours is None:
        return [] if theirs is None else [(theirs.label, Outcome.MISSED, None)]
    confidence = float(ours["confidence"])
    if theirs is None:
        return [(ours["label"], Outcome.REJECTED, confidence)]
    agreed = label_key(ours["label"]) == label_key(theirs.label)
    return [(ours["label"], Outcome.CONFIRMED if agreed else Outcome.CORRECTED, confidence)]


def _of_each(note: Mapping[str, Any], classes: list[NamedClass]) -> list[_Fate]:
    """Classes stand by themselves: ours against theirs, as sets."""
    ours = {label_key(claim["label"]): claim for claim in note["claims"]}
    # Of two spellings of one label the first in the alphabet.
    theirs = {label_key(c.label): c.label for c in sorted(classes, key=lambda c: c.label)[::-1]}
    return [
        *(
            (
                claim["label"],
                Outcome.CONFIRMED if key in theirs else Outcome.REJECTED,
                float(claim["confidence"]),
            )
            for key, claim in ours.items()
        ),
        *((label, Outcome.MISSED, None) for key, label in theirs.items() if key not in ours),
    ]


def _of_boxes(note: Mapping[str, Any], detections: list[DetectedObject]) -> list[_Fate]:
    claims = note["claims"]
    ours = _upright([claim["box"] for claim in claims])
    # In an order of their own, so that the order of the message does not matter.
    listed = sorted(detections, key=lambda d: (d.box, label_key(d.label), d.label))
    theirs = _upright([d.box for d in listed])
    agree = np.equal.outer(
        np.array([label_key(claim["label"]) for claim in claims], dtype=np.str_),
        np.array([label_key(d.label) for d in listed], dtype=np.str_),
    )
    pairs = dict(_matched(iou(ours, theirs), agree, float(note["match_iou"])))
    found = set(pairs.values())
    return [
        *(
            (claim["label"], _fate(i, pairs, agree), float(claim["confidence"]))
            for i, claim in enumerate(claims)
        ),
        *((d.label, Outcome.MISSED, None) for j, d in enumerate(listed) if j not in found),
    ]


def _fate(claim: int, pairs: Mapping[int, int], agree: NDArray[np.bool_]) -> Outcome:
    if claim not in pairs:
        return Outcome.REJECTED
    return Outcome.CONFIRMED if agree[claim, pairs[claim]] else Outcome.CORRECTED


def _matched(
    shared: NDArray[np.float64], agree: NDArray[np.bool_], match_iou: float
) -> list[tuple[int, int]]:
    """Pairs of one of ours and one of theirs, the best first, each box once at most."""
    rank = np.where((shared >= match_iou) & (shared > 0), shared + _AGREEMENT * agree, -1.0)
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
