"""The device as a host of the verifier: paid once over restarts, within its budget."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.cloud import PlayedClock, body, jpeg
from tests.support.vision_stub import Reply, Stub, serving

from verifier.hosts.direct import Direct, open_direct
from verifier.stores.sqlite import SqliteStore

SEEN: Final = {
    "iteration": "7",
    "predictions": [
        {
            "tagName": "laptop",
            "probability": 0.9,
            "boundingBox": {"left": 0.1, "top": 0.1, "width": 0.4, "height": 0.4},
        }
    ],
}


def route(endpoint: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    backend = {
        "kind": "customvision",
        "regions": [{"name": "here", "endpoint": endpoint}],
        "project_id": "p",
        "published_name": "i",
    }
    return {"backend": backend | changes, "want": ["objects"]}


_OPEN: Final[list[Direct]] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """What a test has opened is let go after it."""
    yield
    while _OPEN:
        _OPEN.pop().close()


def opened(stub: Stub, path: str, clock: PlayedClock, calls_per_day: int = 100) -> Direct:
    direct = open_direct(
        route(stub.endpoint), "k-1", calls_per_day=calls_per_day, path=path, clock=clock
    )
    _OPEN.append(direct)
    return direct


class Module:
    """Takes verdicts as the module's method does, or answers what stands next in `faults`."""

    def __init__(self, *faults: int) -> None:
        self.faults = list(faults)
        self.taken: list[dict[str, Any]] = []

    def __call__(self, payload: Mapping[str, Any]) -> int:
        if self.faults:
            return self.faults.pop(0)
        self.taken += payload["verdicts"]
        return 200


def nothing() -> None:
    """Nobody is told what leaves."""


def picture(id_: str, shade: int = 1) -> bytes:
    return body(id_, picture=jpeg(shade=shade))


def test_an_escalation_is_asked_about_and_its_verdict_handed_over(tmp_path: Path) -> None:
    module = Module()
    with serving(Reply(200, SEEN)) as stub:
        direct = opened(stub, str(tmp_path / "direct.db"), PlayedClock())
        assert direct.destination == "customvision 127.0.0.1"
        assert direct.handle(picture("a"), nothing) == 0
        direct.deliver(module)
        direct.deliver(module)
    assert [verdict["escalation_id"] for verdict in module.taken] == ["a"]
    assert module.taken[0]["detections"][0]["label"] == "laptop"
    assert stub.requests[0].headers["Prediction-Key"] == "k-1"


def test_after_a_restart_nothing_is_paid_for_twice_and_the_verdict_comes(tmp_path: Path) -> None:
    path, clock, module = str(tmp_path / "direct.db"), PlayedClock(), Module()
    with serving(Reply(200, SEEN)) as stub:
        opened(stub, path, clock).handle(picture("a"), nothing)
        again = opened(stub, path, clock)
        assert again.handle(picture("a"), nothing) == 0
        again.deliver(module)
    assert len(stub.requests) == 1
    assert [verdict["escalation_id"] for verdict in module.taken] == ["a"]


def test_the_budget_of_a_day_outlives_a_restart(tmp_path: Path) -> None:
    path, clock, module = str(tmp_path / "direct.db"), PlayedClock(), Module()
    with serving(Reply(200, SEEN)) as stub:
        for number in range(4):
            direct = opened(stub, path, clock, calls_per_day=2)
            direct.handle(picture(f"e{number}", shade=number), nothing)
            direct.deliver(module)
        clock.advance(86_400)
        direct.handle(body("next", picture=jpeg(shade=9), now=clock.utc()), nothing)
        direct.deliver(module)
    assert len(stub.requests) == 3
    said = [(verdict["status"], verdict.get("reason")) for verdict in module.taken]
    assert said == [
        ("verified", None),
        ("verified", None),
        ("unverified", "budget"),
        ("unverified", "budget"),
        ("verified", None),
    ]


def test_a_key_that_is_refused_loses_nothing(tmp_path: Path) -> None:
    module = Module()
    with serving(Reply(401), Reply(200, SEEN)) as stub:
        direct = opened(stub, str(tmp_path / "direct.db"), PlayedClock())
        assert direct.handle(picture("a"), nothing) == 60
        assert direct.handle(picture("a"), nothing) == 0
        direct.deliver(module)
    assert len(module.taken) == 1


def test_a_module_that_is_busy_gets_its_verdict_later(tmp_path: Path) -> None:
    module, clock = Module(503), PlayedClock()
    with serving(Reply(200, SEEN)) as stub:
        direct = opened(stub, str(tmp_path / "direct.db"), clock)
        direct.handle(picture("a"), nothing)
        direct.deliver(module)
        assert module.taken == []
        clock.advance(30)
        direct.deliver(module)
    assert len(module.taken) == 1


def test_a_picture_is_written_down_before_it_leaves_and_only_then(tmp_path: Path) -> None:
    left: list[int] = []
    with serving(Reply(503, {}, {"Retry-After": "0"}), Reply(200, SEEN)) as stub:

        def leaves() -> None:
            left.append(len(stub.requests))

        direct = opened(stub, str(tmp_path / "direct.db"), PlayedClock(), calls_per_day=2)
        direct.handle(picture("a"), leaves)
        direct.handle(picture("a"), leaves)
        direct.handle(picture("over", shade=2), leaves)
    assert left == [0, 1]
    assert len(stub.requests) == 2


def test_a_picture_that_cannot_be_written_down_stays_and_costs_nothing(tmp_path: Path) -> None:
    def full() -> None:
        raise OSError("disk full")

    module = Module()
    with serving(Reply(200, SEEN)) as stub:
        direct = opened(stub, str(tmp_path / "direct.db"), PlayedClock(), calls_per_day=1)
        assert direct.handle(picture("a"), full) > 0
        assert stub.requests == []
        assert direct.handle(picture("a"), nothing) == 0
        direct.deliver(module)
    assert [verdict["status"] for verdict in module.taken] == ["verified"]


def test_what_is_long_over_is_forgotten(tmp_path: Path) -> None:
    clock, module = PlayedClock(), Module()
    path = tmp_path / "direct.db"
    with serving(Reply(200, SEEN)) as stub:
        direct = opened(stub, str(path), clock)
        direct.handle(picture("a"), nothing)
        direct.handle(b"no message", nothing)
        direct.deliver(module)
        store = direct._store
        assert {key.partition("/")[0] for key in store.keys("")} == {"ledger", "budget", "dead"}
        clock.advance(9 * 86_400)
        direct.deliver(module)
        assert list(store.keys("")) == []


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ({}, "backend"),
        ({"backend": {"kind": "ia40", "regions": []}, "want": ["objects"]}, "regions"),
        (route("https://x.example", kind="crystalball"), "crystalball"),
        (route("http://x.example"), "https"),
        (route("https://x.example", project_id=""), "project_id"),
        ({**route("https://x.example"), "want": ["faces"]}, "does not offer faces"),
        (
            route("", regions=[{"name": "x", "endpoint": "https://x", "key_env": "OTHER"}]),
            "direct.key",
        ),
        (route("", regions="x"), "regions"),
        ({"backend": 3, "want": []}, "backend"),
    ],
)
def test_a_route_that_is_wrong_is_refused_by_its_field(
    document: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        open_direct(document, "s3cret", calls_per_day=1, path="")
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in json.dumps(document)


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        open_direct(
            route("https://x.example"), "k", calls_per_day=1, path=str(tmp_path / "file/direct.db")
        )


@pytest.mark.parametrize("damage", ["no database", "a page in its middle"])
def test_a_damaged_file_is_set_aside_and_the_device_goes_on(tmp_path: Path, damage: str) -> None:
    path, clock = tmp_path / "direct.db", PlayedClock()
    with serving(Reply(200, SEEN)) as stub:
        if damage == "no database":
            path.write_bytes(b"nonsense" * 1000)
        else:
            store = SqliteStore(path)
            for number in range(500):
                store.create(f"dead/{number}", b"x" * 100)
            store.close()
            with path.open("r+b") as file:
                file.seek(3 * 4096)
                file.write(b"\xff" * 4096)
        direct, module = opened(stub, str(path), clock), Module()
        assert direct.handle(picture("a"), nothing) == 0
        direct.deliver(module)
    assert len(module.taken) == 1
    assert (tmp_path / "direct.db.damaged").exists()
