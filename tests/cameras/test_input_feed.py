"""A camera that is another module: every frame is put into the slots once, or refused by name."""

import threading
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from visionedge.cameras.feed import CameraState
from visionedge.cameras.input_feed import InputFeed
from visionedge.entities import Decision, Frame, ModelTag, Prediction
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.slot import LatestSlots
from visionedge.settings import InputCamera

WAIT_S = 20.0
JPEG = bytes(cv2.imencode(".jpg", np.full((48, 64, 3), 120, np.uint8))[1])


class Asker:
    """Who waits for one frame."""

    def __init__(self) -> None:
        self.code = ""
        self.reason = ""
        self._heard = threading.Event()

    def decided(
        self, frame: Frame, prediction: Prediction, decision: Decision, model: ModelTag
    ) -> None:
        self._heard.set()

    def refused(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        self._heard.set()

    def wait(self) -> str:
        assert self._heard.wait(WAIT_S), "nothing was said"
        return self.code

    @property
    def waits(self) -> bool:
        return not self._heard.is_set()


class Bench:
    """A feed, its slots and its clock."""

    def __init__(self, **settings: float) -> None:
        self.slots: LatestSlots[Frame] = LatestSlots()
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.states: list[CameraState] = []
        camera = InputCamera.model_validate({"kind": "input", **settings})
        self.feed = InputFeed(
            "belt",
            camera,
            self.slots,
            self.metrics,
            on_state=lambda _, state, __: self.states.append(state),
            clock=self.clock,
        )

    def send(self, body: bytes = JPEG) -> Asker:
        asker = Asker()
        self.feed.offer(body, asker)
        return asker

    def dropped(self) -> dict[str, int]:
        return self.metrics.counts("visionedge_frames_dropped_total", "cause")


@pytest.fixture
def benches() -> Iterator[list[Bench]]:
    made: list[Bench] = []
    yield made
    for bench in made:
        assert bench.feed.stop(WAIT_S)


@pytest.fixture
def bench(benches: list[Bench]) -> Bench:
    benches.append(Bench())
    benches[0].feed.start()
    return benches[0]


def test_a_frame_comes_with_its_asker_its_number_and_its_time(bench: Bench) -> None:
    asker = bench.send()
    frame = bench.slots.take(WAIT_S)
    assert frame is not None
    assert frame.request is asker
    assert (frame.camera_id, frame.seq, frame.image.shape) == ("belt", 0, (48, 64, 3))
    assert frame.captured_ns == bench.clock.ns()
    assert not frame.image.flags.writeable
    assert asker.waits


def test_a_bad_picture_is_refused_by_name_and_counted_and_the_next_is_taken(bench: Bench) -> None:
    assert bench.send(b"GIF89a").wait() == "not_a_jpeg"
    assert bench.send(JPEG[:-40]).wait() == "cut_short"
    assert bench.send(b"x" * 300_000).wait() == "too_large"
    assert bench.dropped() == {"undecoded": 3}
    bench.send()
    frame = bench.slots.take(WAIT_S)
    assert frame is not None
    assert frame.seq == 3
    assert bench.metrics.value("visionedge_frames_captured_total") == 4


def test_no_frame_that_waits_is_replaced_and_when_all_is_full_the_oldest_is_refused(
    benches: list[Bench],
) -> None:
    bench = Bench(queue=2)
    benches.append(bench)
    # Not started: what is sent stays in the queue.
    first, second, third = bench.send(), bench.send(), bench.send()
    assert first.wait() == "busy"
    assert "2 newer" in first.reason
    assert second.waits
    assert third.waits
    assert bench.dropped() == {"replaced": 1}
    bench.feed.start()
    frames = [bench.slots.take(WAIT_S) for _ in range(2)]
    assert [frame and frame.request for frame in frames] == [third, second]


def test_a_frame_that_has_waited_too_long_is_refused(benches: list[Bench]) -> None:
    bench = Bench(max_wait_s=5)
    benches.append(bench)
    late = bench.send()
    bench.clock.advance(6)
    fresh = bench.send()
    bench.feed.start()
    assert late.wait() == "late"
    frame = bench.slots.take(WAIT_S)
    assert frame is not None
    assert frame.request is fresh
    assert bench.dropped() == {"stale": 1}


def test_more_frames_a_second_than_set_are_refused(benches: list[Bench]) -> None:
    bench = Bench(max_fps=10)
    benches.append(bench)
    assert bench.send().waits
    assert bench.send().wait() == "rate"
    bench.clock.advance(0.1)
    assert bench.send().waits


def test_a_paused_camera_refuses_what_waits_and_what_comes_until_it_is_resumed(
    benches: list[Bench],
) -> None:
    bench = Bench()
    benches.append(bench)
    waiting = bench.send()
    bench.feed.pause()
    assert waiting.wait() == "paused"
    bench.feed.start()
    assert bench.feed.state is CameraState.PAUSED
    assert bench.send().wait() == "paused"
    bench.feed.resume()
    bench.send()
    assert bench.slots.take(WAIT_S) is not None
    assert bench.states == [CameraState.PAUSED, CameraState.RUNNING]


def test_a_stop_refuses_what_waits_in_the_queue_and_in_the_slot(bench: Bench) -> None:
    askers = [bench.send() for _ in range(4)]
    assert bench.feed.stop(WAIT_S)
    assert {asker.wait() for asker in askers} == {"stopped"}
    assert bench.slots.take(0) is None
    assert bench.send().wait() == "stopped"
    assert bench.dropped() == {"stopped": 5}


def test_the_camera_counts_as_up_while_frames_come(benches: list[Bench]) -> None:
    bench = Bench(stale_after_s=5)
    benches.append(bench)
    assert bench.metrics.value("visionedge_camera_up") == 0
    bench.feed.start()
    bench.send()
    assert bench.slots.take(WAIT_S) is not None
    assert bench.metrics.value("visionedge_camera_up") == 1
