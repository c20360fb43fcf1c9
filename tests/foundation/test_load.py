"""Whether the machine keeps up, told once when it changes, with the figures."""

from visionedge.load import KEEPS_UP, OVERLOADED, LoadWatch
from visionedge.metrics import Metrics
from visionedge.runtime.clock import FakeClock


class Machine:
    """A machine whose cameras ask for more or less than it can do."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = FakeClock()
        self.told: list[tuple[str, str]] = []
        self.watch = LoadWatch(self.metrics, lambda *each: self.told.append(each), self.clock)

    def go_on(self, seconds: int, *, done: int, replaced: int, camera: str = "line-1") -> None:
        for _ in range(seconds):
            self.metrics.frames_processed.labels(camera).inc(done)
            self.metrics.frames_dropped.labels(camera, "replaced").inc(replaced)
            self.metrics.frames_dropped.labels(camera, "rate").inc(100)
            self.clock.advance(1)
            self.watch.look()

    @property
    def gauge(self) -> float:
        return self.metrics.value("visionedge_overloaded")


def test_a_machine_that_keeps_up_has_nothing_to_tell() -> None:
    machine = Machine()
    machine.go_on(60, done=30, replaced=0)
    assert machine.told == []
    assert machine.watch.state == KEEPS_UP
    assert machine.gauge == 0


def test_overload_is_told_once_with_asked_and_given_rates_and_the_mend() -> None:
    machine = Machine()
    machine.go_on(30, done=20, replaced=10)
    ((state, reason),) = machine.told
    assert state == OVERLOADED
    assert "20.0 of 30.0 frames/s" in reason
    assert "line-1 20.0 of 30.0" in reason
    assert "visionedge tune" in reason
    assert machine.gauge == 1


def test_it_is_told_when_it_is_over() -> None:
    machine = Machine()
    machine.go_on(20, done=20, replaced=10)
    machine.go_on(20, done=30, replaced=0)
    assert [state for state, _ in machine.told] == [OVERLOADED, KEEPS_UP]
    assert machine.gauge == 0


def test_between_the_two_bounds_nothing_changes() -> None:
    machine = Machine()
    machine.go_on(60, done=95, replaced=5)
    assert machine.told == []
    machine.go_on(20, done=50, replaced=50)
    machine.go_on(60, done=95, replaced=5)
    assert [state for state, _ in machine.told] == [OVERLOADED]


def test_a_moment_is_no_overload() -> None:
    machine = Machine()
    machine.go_on(20, done=30, replaced=0)
    machine.go_on(1, done=25, replaced=5)
    machine.go_on(20, done=30, replaced=0)
    assert machine.told == []


def test_the_cameras_that_lose_most_are_named() -> None:
    machine = Machine()
    for number in range(20):
        machine.metrics.frames_processed.labels(f"quiet-{number}").inc()
    machine.go_on(20, done=10, replaced=90, camera="busy")
    assert "busy 10.0 of 100.0" in machine.told[0][1]
    assert len(machine.told[0][1]) < 500
