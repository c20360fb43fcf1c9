"""The verifier answers escalations of a real module, whatever happens to the link."""

import datetime as dt
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from azure.iot.device import Message, MethodResponse

from devhub import DevHub
from devhub.verdicts import InvalidEscalation, confirm, parse_escalation
from devhub.verifier import Sighting, Verifier

NewClient = Callable[..., Any]
SEEN = [Sighting(label="short", confidence=0.97, box=[0.1, 0.2, 0.3, 0.4])]


def escalation(escalation_id: str, lives_s: float = 60) -> dict[str, Any]:
    """The fields that a verifier cannot do without."""
    end = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=lives_s)
    found = {"class_id": 1, "label": "open", "confidence": 0.4, "box": [0, 0, 0.5, 0.5]}
    return {
        "schema": "escalation/1",
        "id": escalation_id,
        "expires_at": end.isoformat(),
        "prediction": {"task": "detection", "detections": [found]},
    }


class Module:
    """A module of the real SDK that takes verdicts and answers as `statuses` says, then 200."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401 - the SDK ships no types
        self.client = client
        self.calls: list[list[dict[str, Any]]] = []
        self.statuses: list[int] = []
        self.taken = threading.Semaphore(0)
        client.on_method_request_received = self._answer

    @property
    def verdicts(self) -> list[dict[str, Any]]:
        """All that came, in order."""
        return [verdict for call in self.calls for verdict in call]

    def escalate(self, document: dict[str, Any]) -> None:
        """Sends an escalation."""
        message = Message(json.dumps(document), document["id"], "utf-8", "application/json")
        self.client.send_message_to_output(message, "escalation")

    def wait_for_call(self) -> None:
        """Returns when one more call came."""
        assert self.taken.acquire(timeout=10)

    def _answer(self, request: Any) -> None:  # noqa: ANN401
        assert request.name == "applyVerdict"
        self.calls.append(request.payload["verdicts"])
        status = self.statuses.pop(0) if self.statuses else 200
        answer: dict[str, Any] = {"status": "merged" if status == 200 else "refused"}
        self.client.send_method_response(
            MethodResponse.create_from_method_request(request, status, answer)
        )
        self.taken.release()


@pytest.fixture
def module(devhub: DevHub, new_client: NewClient) -> Module:
    return Module(new_client())


@contextmanager
def verifying(hub: DevHub, **options: Any) -> Iterator[Verifier]:  # noqa: ANN401
    """A verifier without delay that sees a short."""
    options = {"delay_s": 0.0, "retry_first_s": 0.01, "oracle": lambda _: SEEN, **options}
    with Verifier(hub, **options) as verifier:
        yield verifier


def test_an_escalation_gets_a_verdict(devhub: DevHub, module: Module) -> None:
    with verifying(devhub) as verifier:
        module.escalate(escalation("e1"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    (verdict,) = module.verdicts
    assert verdict["schema"] == "verdict/1"
    assert verdict["escalation_id"] == "e1"
    assert verdict["status"] == "verified"
    assert verdict["detections"] == [dict(SEEN[0])]
    assert verdict["classes"] == []
    assert verdict["verifier"]["name"] == "devhub"
    assert dt.datetime.fromisoformat(verdict["verified_at"]).tzinfo
    assert verifier.counts.statuses == {"merged": 1}
    assert verifier.pending == 0


def test_the_oracle_is_given_the_escalation(devhub: DevHub, module: Module) -> None:
    asked: list[dict[str, Any]] = []
    document = escalation("e1")
    with verifying(devhub, oracle=asked.append):
        module.escalate(document)
        module.wait_for_call()
    assert asked == [document]
    assert module.verdicts[0]["status"] == "unverified"


def test_the_verdict_comes_after_the_delay(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=0.1):
        module.escalate(escalation("e1"))
        sent = time.monotonic()
        module.wait_for_call()
        assert time.monotonic() - sent >= 0.09


def test_escalations_that_waited_together_come_in_one_call(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, batch=3) as verifier:
        devhub.set_faults(silent_cloud=True)
        for number in range(5):
            module.escalate(escalation(f"e{number}"))
        devhub.wait(lambda: verifier.counts.retries)
        devhub.clear_faults()
        devhub.wait(lambda: verifier.counts.delivered == 5)
    assert [v["escalation_id"] for v in module.verdicts] == [f"e{n}" for n in range(5)]
    assert max(map(len, module.calls)) == 3


def test_a_repetition_before_the_verdict_is_answered_once(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=0.05) as verifier:
        for _ in range(3):
            module.escalate(escalation("e1"))
        module.escalate(escalation("e2"))
        devhub.wait(lambda: verifier.counts.delivered == 2)
    assert [v["escalation_id"] for v in module.verdicts] == ["e1", "e2"]
    assert verifier.counts.repeated == 2


def test_a_repetition_after_the_verdict_gets_the_same_verdict(
    devhub: DevHub, module: Module
) -> None:
    asked: list[str] = []

    def oracle(document: dict[str, Any]) -> list[Sighting]:
        asked.append(document["id"])
        return SEEN

    with verifying(devhub, oracle=oracle) as verifier:
        for turn in (1, 2):
            module.escalate(escalation("e1"))
            devhub.wait(lambda turn=turn: verifier.counts.delivered == turn)  # type: ignore[misc]
    assert asked == ["e1"]
    assert module.verdicts[0] == module.verdicts[1]


def test_an_oracle_that_fails_leaves_it_unverified_and_the_next_one_answered(
    devhub: DevHub, module: Module
) -> None:
    no_number = Sighting(label="short", confidence=float("nan"), box=[0, 0, 1, 1])
    answers = {"no json": [no_number], "good": SEEN}
    with verifying(devhub, oracle=lambda document: answers[document["id"]]) as verifier:
        for escalation_id in ("unknown", "no json", "good"):
            module.escalate(escalation(escalation_id))
        devhub.wait(lambda: verifier.counts.delivered == 3)
    assert [v["status"] for v in module.verdicts] == ["unverified", "unverified", "verified"]
    assert verifier.counts.oracle_errors == 2


def test_a_verdict_too_large_for_a_method_fails_alone(devhub: DevHub, module: Module) -> None:
    flood = [Sighting(label="x" * 200_000, confidence=1.0)]
    answers = {"large": flood, "good": SEEN}
    with verifying(devhub, oracle=lambda document: answers[document["id"]]) as verifier:
        module.escalate(escalation("large"))
        module.escalate(escalation("good"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    assert verifier.counts.failed == 1
    assert [v["escalation_id"] for v in module.verdicts] == ["good"]


def test_a_hub_closed_before_its_verifier_ends_it_quietly(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=0.05):
        module.escalate(escalation("e1"))
        devhub.close()


def test_a_cut_delays_the_verdict_and_loses_nothing(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=0.05, retry_first_s=60, retry_most_s=60) as verifier:
        module.escalate(escalation("e1"))
        devhub.cut()
        devhub.wait(lambda: verifier.counts.retries == 1)
        assert module.calls == []
        assert verifier.pending == 1
        devhub.restore()
        devhub.wait(lambda: verifier.counts.delivered == 1, what="the verdict, despite its pause")


def test_a_silent_cloud_gives_no_verdict_until_it_ends(devhub: DevHub, module: Module) -> None:
    with verifying(devhub) as verifier:
        devhub.set_faults(silent_cloud=True)
        module.escalate(escalation("e1"))
        devhub.wait(lambda: verifier.counts.retries >= 2)
        assert module.calls == []
        devhub.clear_faults()
        devhub.wait(lambda: verifier.counts.delivered == 1)


def test_a_module_in_trouble_is_asked_again(devhub: DevHub, module: Module) -> None:
    module.statuses = [500, 503]
    with verifying(devhub) as verifier:
        module.escalate(escalation("e1"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    assert len(module.calls) == 3
    assert verifier.counts.retries == 2


def test_a_module_that_refuses_is_not_asked_again(devhub: DevHub, module: Module) -> None:
    module.statuses = [400]
    with verifying(devhub) as verifier:
        module.escalate(escalation("e1"))
        devhub.wait(lambda: verifier.counts.failed == 1)
        module.escalate(escalation("e2"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    assert len(module.calls) == 2


def test_a_verdict_too_late_is_not_delivered(devhub: DevHub, module: Module) -> None:
    with verifying(devhub) as verifier:
        module.escalate(escalation("late", lives_s=-1))
        devhub.wait(lambda: verifier.counts.expired == 1)
        module.escalate(escalation("in time"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    assert [v["escalation_id"] for v in module.verdicts] == ["in time"]
    assert verifier.pending == 0


def test_what_waits_is_bounded_and_counted(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=60, max_waiting=2) as verifier:
        for number in range(5):
            module.escalate(escalation(f"e{number}"))
        devhub.wait(lambda: verifier.counts.received == 5)
        assert verifier.counts.overflowed == 3
        assert verifier.pending == 2


def test_what_is_remembered_is_bounded(devhub: DevHub, module: Module) -> None:
    asked: list[str] = []

    def oracle(document: dict[str, Any]) -> list[Sighting]:
        asked.append(document["id"])
        return SEEN

    with verifying(devhub, oracle=oracle, max_remembered=2) as verifier:
        for turn, escalation_id in enumerate(("e0", "e1", "e2", "e0"), start=1):
            module.escalate(escalation(escalation_id))
            devhub.wait(lambda turn=turn: verifier.counts.delivered == turn)  # type: ignore[misc]
    assert asked == ["e0", "e1", "e2", "e0"]
    assert verifier.counts.repeated == 0


def test_what_is_forgotten_unanswered_is_counted(devhub: DevHub, module: Module) -> None:
    with verifying(devhub, delay_s=60, max_remembered=2) as verifier:
        for number in range(5):
            module.escalate(escalation(f"e{number}"))
        devhub.wait(lambda: verifier.counts.received == 5)
        assert (verifier.counts.overflowed, verifier.pending) == (3, 2)


def test_other_outputs_are_left_alone_and_bad_messages_counted(
    devhub: DevHub, module: Module
) -> None:
    with verifying(devhub) as verifier:
        module.client.send_message_to_output(Message("{}"), "telemetry")
        module.client.send_message_to_output(Message("{}"), "escalation")
        module.escalate(escalation("e1"))
        devhub.wait(lambda: verifier.counts.delivered == 1)
    assert (verifier.counts.received, verifier.counts.invalid) == (1, 1)


def test_closing_does_not_wait_for_a_module_that_never_answers(
    devhub: DevHub, new_client: NewClient
) -> None:
    client = new_client()
    called = threading.Event()
    client.on_method_request_received = lambda _request: called.set()
    with verifying(devhub, method_timeout_s=60):
        message = Message(json.dumps(escalation("e1")), "e1")
        client.send_message_to_output(message, "escalation")
        assert called.wait(10)
        started = time.monotonic()
    assert time.monotonic() - started < 5


def test_confirm_believes_the_module() -> None:
    assert confirm(escalation("e")) == [
        {"label": "open", "confidence": 1.0, "box": [0, 0, 0.5, 0.5]}
    ]
    classes = [{"label": "good", "confidence": 0.6}]
    document = {"prediction": {"task": "classification", "classes": classes}}
    assert confirm(document) == [{"label": "good", "confidence": 1.0}]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "escalation/2"}, "schema"),
        ({"id": ""}, "id is missing"),
        ({"id": 7}, "id is missing"),
        ({"prediction": None}, "prediction is missing"),
        ({"expires_at": "soon"}, "no ISO 8601"),
        ({"expires_at": None}, "no ISO 8601"),
        ({"expires_at": "2026-01-01T00:00:00"}, "no time zone"),
    ],
)
def test_a_bad_escalation_is_refused_with_its_reason(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEscalation, match=reason):
        parse_escalation(json.dumps({**escalation("e1"), **changes}).encode())


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"{"])
def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidEscalation):
        parse_escalation(body)
