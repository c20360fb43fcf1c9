"""What a person says of a part becomes the end of the escalation, claim by claim."""

from datetime import UTC, datetime
from typing import Any

import pytest

from visionedge.entities import Outcome, Resolution
from visionedge.escalation.resolution import by_operator, resolve
from visionedge.wire import Verdict

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOTE: dict[str, Any] = {
    "task": "detection",
    "independent": True,
    "match_iou": 0.3,
    "claims": [
        {"label": "open", "confidence": 0.9, "box": [0.1, 0.1, 0.2, 0.2], "doubted": False},
        {"label": "short", "confidence": 0.4, "box": [0.5, 0.5, 0.6, 0.6], "doubted": True},
    ],
}


def said(word: Outcome, label: str = "", by: str = "ann") -> Resolution:
    return by_operator("e1", NOTE, word, label, by, NOON)


@pytest.mark.parametrize("word", [Outcome.CONFIRMED, Outcome.CORRECTED, Outcome.REJECTED])
def test_one_word_is_said_of_all_claims(word: Outcome) -> None:
    end = said(word)
    assert (end.outcome, end.verifier, end.resolved_at) == (word, "operator:ann", NOON)
    assert end.agreement == (("open", word), ("short", word))
    right = word is Outcome.CONFIRMED
    assert end.judged == (("open", 0.9, right), ("short", 0.4, right))


def test_missed_says_that_the_claims_were_right_and_something_more_is_there() -> None:
    end = said(Outcome.MISSED, "pin_hole", by="")
    assert (end.outcome, end.verifier) == (Outcome.MISSED, "operator")
    assert (end.confirmed, end.missed) == (2, 1)
    assert ("pin_hole", Outcome.MISSED) in end.agreement
    assert len(end.judged) == 2


def test_an_empty_scene_can_be_confirmed_and_can_hide_something() -> None:
    empty = {**NOTE, "claims": []}
    confirmed = by_operator("e1", empty, Outcome.CONFIRMED, "", "", NOON)
    assert (confirmed.outcome, confirmed.agreement) == (Outcome.CONFIRMED, ())
    assert by_operator("e1", empty, Outcome.MISSED, "open", "", NOON).missed == 1


def test_a_verdict_judges_each_claim_with_how_sure_it_was() -> None:
    verdict = Verdict.model_validate(
        {
            "verdict_id": "v",
            "escalation_id": "e1",
            "verified_at": NOON,
            "verifier": {"name": "cloud"},
            "detections": [{"label": "Open", "confidence": 1, "box": (0.1, 0.1, 0.2, 0.2)}],
        }
    )
    assert resolve(NOTE, verdict).judged == (("open", 0.9, True), ("short", 0.4, False))
