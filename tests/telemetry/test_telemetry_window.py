"""One window of time: what is counted, how latencies are summed up, and that it fits."""

import json
import threading
from datetime import UTC, datetime, timedelta

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.predictions import boxes, classes, frame

from visionedge.entities import Action, Decision, Kind, Outcome, Prediction
from visionedge.runtime.latencies import Latencies
from visionedge.telemetry import Telemetry, health_envelope, telemetry_envelope
from visionedge.wire import MAX_MESSAGE_BYTES, Health, SpoolTelemetry
from visionedge.wire import Telemetry as Message

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
SPOOL = SpoolTelemetry(messages=3, size_bytes=1000, unanswered=2, lost={"expired": 1})
ACCEPT = Decision(Action.ACCEPT, "confident", 0.0, 1)
ESCALATE = Decision(Action.ESCALATE, "margin", 0.9, 1)
TOO_SOON = Decision(Action.SUPPRESS, "too_soon", 0.9, 1)


def close(telemetry: Telemetry, after_s: float = 60, cameras: tuple[str, ...] = ()) -> Message:
    return telemetry.close_window(
        START + timedelta(seconds=after_s), SPOOL, "online", settings_revision=5, cameras=cameras
    )


def labels(*predictions: Prediction) -> dict[str, int]:
    telemetry = Telemetry(START)
    for prediction in predictions:
        telemetry.record(frame(), prediction, ACCEPT, 0.01)
    return close(telemetry).cameras["line-1"].labels


def test_a_window_counts_what_happened_at_each_camera() -> None:
    telemetry = Telemetry(START)
    telemetry.captured("a", 5)
    telemetry.dropped("a", "replaced")
    telemetry.dropped("a", "stale", 2)
    for decision in (ACCEPT, ESCALATE, TOO_SOON, ESCALATE):
        telemetry.record(frame(camera_id="a"), boxes(0.9), decision, 0.01)
    telemetry.record(frame(camera_id="b"), boxes(), ACCEPT, 0.01)
    message = close(telemetry)
    a, b = message.cameras["a"], message.cameras["b"]
    assert (a.captured, a.processed, a.dropped) == (5, 4, {"replaced": 1, "stale": 2})
    assert (a.accepted, a.escalated, a.suppressed) == (1, 2, 1)
    assert a.reasons == {"margin": 2, "too_soon": 1}
    assert a.labels == {"open": 4}
    assert (b.processed, b.labels, b.reasons) == (1, {}, {})


def test_a_window_says_where_it_begins_and_what_stands_around_it() -> None:
    telemetry = Telemetry(START)
    for outcome in (Outcome.MISSED, Outcome.CONFIRMED, Outcome.MISSED):
        telemetry.resolved(outcome)
    message = close(telemetry)
    assert (message.window_start, message.window_end) == (START, START + timedelta(minutes=1))
    assert message.resolutions == {"missed": 2, "confirmed": 1}
    assert (message.spool, message.link, message.settings_revision) == (SPOOL, "online", 5)


def test_the_next_window_begins_where_the_last_one_ended_and_at_zero() -> None:
    telemetry = Telemetry(START)
    telemetry.record(frame(), boxes(0.9), ACCEPT, 0.01)
    telemetry.resolved(Outcome.MISSED)
    first, second = close(telemetry, 60), close(telemetry, 120)
    assert second.window_start == first.window_end
    assert (second.cameras, second.resolutions) == ({}, {})
    assert first.id != second.id


def test_a_camera_that_gives_nothing_is_named_all_the_same() -> None:
    silent = close(Telemetry(START), cameras=("line-1",)).cameras["line-1"]
    assert (silent.captured, silent.processed, silent.latency) == (0, 0, None)


def test_a_wall_clock_that_was_set_back_gives_no_window_that_ends_before_it_begins() -> None:
    message = close(Telemetry(START), after_s=-3600)
    assert message.window_start == message.window_end


def test_objects_are_counted_by_label_and_by_number_where_there_is_none() -> None:
    assert labels(boxes(0.9, 0.8, 0.7, class_id=[0, 1, 0])) == {"open": 2, "short": 1}
    assert labels(boxes(0.9, 0.8, class_id=[-1, 7])) == {"-1": 1, "7": 1}


def test_a_classification_counts_its_best_class_or_each_that_stands_by_itself() -> None:
    assert labels(classes(0.2, 0.7, 0.1), classes()) == {"class 1": 1}
    assert labels(classes(0.9, 0.1, 0.5, multilabel=True)) == {"class 0": 1, "class 2": 1}


def test_the_same_label_of_two_models_is_one_count() -> None:
    assert labels(boxes(0.9, labels=("open",)), boxes(0.9, labels=("x", "open"), class_id=[1])) == {
        "open": 2
    }


def test_the_rarest_labels_are_added_up() -> None:
    many = tuple(f"label {i}" for i in range(100))
    counted = labels(
        boxes(*[0.9] * 100, labels=many, class_id=list(range(100))),
        boxes(0.9, labels=many, class_id=[99]),
    )
    assert len(counted) == 65
    assert (counted["label 99"], counted["(other)"]) == (2, 36)


def test_the_message_fits_with_the_most_cameras_and_the_longest_labels() -> None:
    telemetry = Telemetry(START)
    names = tuple(f"缺陷{i}" * 60 for i in range(300))
    crowd = boxes(*[0.9] * 300, labels=names, class_id=list(range(300)))
    for i in range(64):
        telemetry.record(frame(camera_id=f"camera-{i:057d}"), crowd, ESCALATE, 0.01)
    envelope = telemetry_envelope(close(telemetry))
    assert envelope.size_bytes <= MAX_MESSAGE_BYTES
    sent = Message.model_validate_json(envelope.body)
    assert len(sent.cameras) == 64
    assert {sum(camera.labels.values()) for camera in sent.cameras.values()} == {300}


def test_percentiles_are_within_their_promise() -> None:
    latencies_s = np.random.default_rng(1).lognormal(-4, 1, 5000)
    counted = Latencies()
    for latency_s in latencies_s.tolist():
        counted.add(latency_s)
    found = counted.percentiles()
    assert found is not None
    for q, ms in ((50, found.p50_ms), (95, found.p95_ms), (99, found.p99_ms)):
        true_ms = 1e3 * np.percentile(latencies_s, q, method="inverted_cdf")
        assert ms == pytest.approx(true_ms, rel=0.022)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_ordered_and_within_what_was_seen(latencies_s: list[float]) -> None:
    counted = Latencies()
    for latency_s in latencies_s:
        counted.add(latency_s)
    found = counted.percentiles()
    assert found is not None
    low, high = 1e3 * min(latencies_s), 1e3 * max(latencies_s)
    assert low - 1e-3 <= found.p50_ms <= found.p95_ms <= found.p99_ms <= high + 1e-3


def test_one_slow_frame_in_a_hundred_does_not_hide_and_does_not_rule() -> None:
    counted = Latencies()
    for latency_s in [0.02] * 98 + [2.0] * 2:
        counted.add(latency_s)
    found = counted.percentiles()
    assert found is not None
    assert found.p95_ms == pytest.approx(20, rel=0.03)
    assert found.p99_ms == pytest.approx(2000, rel=0.03)


def test_no_latency_at_all_is_said_as_such() -> None:
    assert Latencies().percentiles() is None


def test_latency_can_be_read_for_the_whole_run_and_since_the_last_look() -> None:
    telemetry = Telemetry(START)
    assert telemetry.recent_latency() is None
    assert telemetry.total_latency() is None
    for latency_s, times in ((0.010, 90), (0.500, 10)):
        for _ in range(times):
            telemetry.record(frame(), boxes(), ACCEPT, latency_s)
        close(telemetry)
        recent = telemetry.recent_latency()
        assert recent is not None
        assert recent.p50_ms == pytest.approx(1e3 * latency_s, rel=0.03)
    total = telemetry.total_latency()
    assert total is not None
    assert total.p50_ms == pytest.approx(10, rel=0.03)
    assert total.p99_ms == pytest.approx(500, rel=0.03)
    assert telemetry.recent_latency() is None


def test_many_workers_lose_no_count_while_windows_close() -> None:
    telemetry = Telemetry(START)
    start, done = threading.Barrier(5), threading.Event()
    messages: list[Message] = []

    def work() -> None:
        start.wait(10)
        for _ in range(500):
            telemetry.record(frame(), boxes(0.9, 0.9), ESCALATE, 0.01)

    def report() -> None:
        start.wait(10)
        while not done.is_set():
            messages.append(close(telemetry))

    workers = [threading.Thread(target=work) for _ in range(4)]
    reporter = threading.Thread(target=report)
    for thread in (*workers, reporter):
        thread.start()
    for thread in workers:
        thread.join(30)
    done.set()
    reporter.join(30)
    messages.append(close(telemetry))
    counted = [m.cameras["line-1"] for m in messages if "line-1" in m.cameras]
    assert sum(c.processed for c in counted) == 2000
    assert sum(c.labels.get("open", 0) for c in counted) == 4000


def test_the_envelope_of_a_window_is_valid_and_can_be_routed() -> None:
    telemetry = Telemetry(START)
    telemetry.record(frame(), boxes(0.9), ESCALATE, 0.01)
    message = close(telemetry)
    envelope = telemetry_envelope(message)
    jsonschema.validate(json.loads(envelope.body), Message.model_json_schema())
    assert Message.model_validate_json(envelope.body) == message
    assert (envelope.kind, envelope.id) == (Kind.TELEMETRY, message.id)
    assert dict(envelope.properties) == {"schema": "telemetry/1", "link": "online"}
    assert envelope.expires_at > envelope.created_at == message.window_end


def test_the_envelope_of_an_event_says_which_part_is_in_which_state() -> None:
    envelope = health_envelope("camera/line-1", "lost", "no frame for 5 s", START)
    sent = Health.model_validate_json(envelope.body)
    assert (sent.part, sent.state, sent.detail) == ("camera/line-1", "lost", "no frame for 5 s")
    assert envelope.kind is Kind.HEALTH
    assert dict(envelope.properties) == {
        "schema": "health/1",
        "part": "camera/line-1",
        "state": "lost",
    }


def test_an_event_never_carries_a_password_and_is_never_too_long() -> None:
    detail = "cannot open rtsp://admin:s3cret@10.0.0.5/live " + "x" * 5000
    envelope = health_envelope("camera/linie-ä", "lost", detail, START)
    assert b"s3cret" not in envelope.body
    assert len(envelope.body) < 1500
    assert envelope.properties["part"].isascii()


def test_health_and_telemetry_are_worth_more_than_most_pictures() -> None:
    health = health_envelope("link", "lost", "", START)
    assert health.value > telemetry_envelope(close(Telemetry(START))).value > 0.5


def test_what_was_seen_can_be_read_for_the_whole_run_across_windows() -> None:
    telemetry = Telemetry(START)
    telemetry.record(frame(), boxes(0.9, 0.8, 0.7, class_id=[0, 1, 0]), ACCEPT, 0.01)
    close(telemetry)
    telemetry.record(frame(), boxes(0.9, class_id=[1]), ACCEPT, 0.01)
    assert telemetry.total_seen() == {"open": 2, "short": 2}
    close(telemetry)
    assert telemetry.total_seen() == {"open": 2, "short": 2}
