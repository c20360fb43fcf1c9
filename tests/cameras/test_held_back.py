"""A frame stays in the decoder until a worker is about to take it, and none comes late for it."""

from typing import Final

import pytest
from tests.cameras.feeds import NAME, FeedBench, started
from tests.support.cameras import DEADLINE_S, FakeCamera, picture
from tests.support.running import wait_until

from visionedge.cameras import intake
from visionedge.cameras.feed import CameraState
from visionedge.cameras.guard import Guard, Shot
from visionedge.cameras.source import Traits
from visionedge.entities import Frame, Image, Prediction
from visionedge.runtime.clock import FakeClock
from visionedge.runtime.worker import Caller
from visionedge.settings import MotionSettings, StreamCamera

OTHERS: Final = ("line-2", "line-3")


class PacedCamera:
    """A camera on a clock of its own: a frame every `period_s`, converted in `work_s`."""

    def __init__(self, clock: FakeClock, period_s: float, work_s: float) -> None:
        self.traits = Traits(1.0, 1.0, live=True)
        self._clock = clock
        self._period_ns = round(period_s * 1e9)
        self._work_s = work_s
        self._due_ns = clock.ns()
        self.late_ns = 0

    def open(self) -> None:
        self._due_ns = self._clock.ns()

    def grab(self) -> None:
        self._due_ns += self._period_ns
        self.late_ns = max(0, self._clock.ns() - self._due_ns)
        self._clock.advance(max(0, self._due_ns - self._clock.ns()) / 1e9)

    def retrieve(self) -> tuple[Image, Prediction | None]:
        self._clock.advance(self._work_s)
        return picture(1), None

    def close(self) -> None:
        return None


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def spares(guard: Guard, clock: FakeClock, share_used: float, count: int) -> list[float]:
    """For how long each of the next frames may be held back; a share of that is used."""
    told: list[float] = []

    def held(_: int, spare_s: float) -> str:
        told.append(spare_s)
        clock.advance(share_used * spare_s)
        return ""

    for _ in range(count):
        assert isinstance(guard.shoot(held), Shot)
    return told


def test_a_frame_is_held_back_for_half_of_the_time_that_its_camera_leaves(clock: FakeClock) -> None:
    camera, caller = PacedCamera(clock, 0.1, 0.02), Caller("camera")
    guard = Guard(camera, caller, clock)
    told = spares(guard, clock, 0.0, 5)
    assert told[-1] == pytest.approx(0.04, abs=0.002), "80 of 100 ms are waited for the next"
    caller.close()


def test_a_camera_whose_frames_are_always_held_back_never_comes_late(clock: FakeClock) -> None:
    camera, caller = PacedCamera(clock, 0.1, 0.02), Caller("camera")
    guard = Guard(camera, caller, clock)
    told = spares(guard, clock, 1.0, 50)
    assert told[-1] == pytest.approx(0.04, abs=0.002)
    assert camera.late_ns == 0
    caller.close()


def test_a_camera_that_was_late_catches_up_although_its_frames_are_held_back(
    clock: FakeClock,
) -> None:
    camera, caller = PacedCamera(clock, 0.1, 0.02), Caller("camera")
    guard = Guard(camera, caller, clock)
    spares(guard, clock, 1.0, 5)
    clock.advance(0.5)
    spares(guard, clock, 1.0, 20)
    assert camera.late_ns == 0
    caller.close()


def fill(bench: FeedBench) -> None:
    """Others' frames wait, so that no more is converted."""
    bench.slots.make_room(1)
    for name in OTHERS:
        assert bench.slots.ask(name, 0).granted
        frame = Frame(picture(0), name, 0, FakeClock().utc(), 0)
        assert bench.slots.put(name, frame) is None


def test_a_frame_that_nobody_would_take_is_not_converted() -> None:
    camera = FakeCamera(picture(0))
    with started(FeedBench(camera)) as bench:
        assert bench.take().seq == 0
        fill(bench)
        camera.send(picture(1), picture(2))
        bench.wait_until_counted(3)
        assert camera.retrieved == 1
        assert bench.dropped("replaced") == 2
        assert bench.value("frame_bytes_total") == 3 * picture(0).nbytes


def test_a_frame_that_is_held_back_is_converted_when_its_turn_comes(
    monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    monkeypatch.setattr(intake, "_MOST_HELD_S", DEADLINE_S)
    camera = FakeCamera(picture(0))
    with started(FeedBench(camera, clock=clock)) as bench:
        bench.take()
        fill(bench)
        camera.wait_until("waiting")
        # It leaves so much time that its next frame can be held back.
        clock.advance(4 * DEADLINE_S)
        camera.send(picture(1))
        wait_until(lambda: NAME in bench.slots._asking, "it asks for its turn")
        assert camera.retrieved == 1
        assert [bench.take().camera_id for _ in range(2)] == list(OTHERS)
        assert bench.take().seq == 1
        assert bench.dropped("replaced") == 0


def test_the_first_frame_of_a_camera_is_looked_at_however_full_it_is() -> None:
    bench = FeedBench(FakeCamera(picture(0)))
    fill(bench)
    with started(bench):
        bench.states.wait_for(CameraState.RUNNING)
        assert [bench.take().camera_id for _ in range(3)] == [*OTHERS, NAME]


def test_a_patient_camera_loses_no_frame_however_full_it_is() -> None:
    bench = FeedBench(FakeCamera(*(picture(value) for value in range(3)), patient=True))
    fill(bench)
    with started(bench):
        taken = [bench.take() for _ in range(5)]
        assert [frame.seq for frame in taken if frame.camera_id == NAME] == [0, 1, 2]
        assert bench.dropped("replaced") == 0


def test_a_frame_that_gives_way_to_another_camera_is_counted_for_its_own() -> None:
    camera = FakeCamera(picture(0))
    with started(FeedBench(camera)) as bench:
        bench.take()
        bench.slots.make_room(1)
        for _ in range(3):
            bench.slots.ask(OTHERS[0], 0)
            bench.slots.put(OTHERS[0], Frame(picture(0), OTHERS[0], 0, FakeClock().utc(), 0))
            bench.slots.take(0)
        fill(bench)
        camera.send(picture(1))
        bench.wait_until_counted(2)
        wait_until(lambda: bench.slots.is_waiting(NAME), "it has its turn")
        assert bench.metrics.counts(
            "visionedge_frames_dropped_total", "camera", {"cause": "replaced"}
        ) == {OTHERS[0]: 1}


def test_a_frame_without_change_passes_its_turn_on() -> None:
    settings = StreamCamera(kind="stream", url="rtsp://camera/line", motion=MotionSettings())
    camera = FakeCamera(picture(0))
    with started(FeedBench(camera, settings=settings)) as bench:
        bench.take()
        bench.slots.make_room(1)
        camera.send(picture(0), picture(0))
        bench.wait_until_counted(3)
        wait_until(lambda: not bench.slots._coming, "no turn is kept")
        assert bench.dropped("unchanged") == 2


def test_a_damaged_frame_passes_its_turn_on() -> None:
    camera = FakeCamera(picture(0))
    with started(FeedBench(camera)) as bench:
        bench.take()
        camera.send_damaged()
        bench.wait_until_counted(2)
        wait_until(lambda: not bench.slots._coming, "no turn is kept")
        assert bench.dropped("undecoded") == 1


def test_a_call_that_does_not_return_keeps_no_turn() -> None:
    camera, second = FakeCamera(picture(0), timeout_s=0.05), FakeCamera(picture(1))
    with started(FeedBench(camera, second, slack_s=0.05)) as bench:
        bench.take()
        camera.hang("retrieve")
        camera.send(picture(1))
        bench.states.wait_for(CameraState.LOST)
        wait_until(lambda: not bench.slots._coming, "no turn is kept")
