"""The reserved part of the control sample in a full spool."""

from tests.support.envelopes import OpenSpool, envelope

from visionedge.entities import Kind

CONTROL_SAMPLE = {"reason": "control"}


def test_doubt_cannot_push_out_the_reserved_part_of_the_control_sample(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool(max_bytes=1_000_000)
    for number in range(4):
        spool.put(
            envelope(id=f"c{number}", value=0.0, body=b"x" * 20_000, properties=CONTROL_SAMPLE)
        )
    for number in range(100):
        spool.put(envelope(id=f"d{number}", value=0.9, body=b"x" * 20_000))
    assert all(spool.find(f"c{number}") for number in range(4))
    assert spool.backlog()[Kind.ESCALATION].size_bytes > 0.9 * 940_000


def test_the_control_sample_takes_its_reserve_from_doubt_and_no_more_than_that(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool(max_bytes=1_000_000)
    for number in range(100):
        spool.put(envelope(id=f"d{number}", value=0.9, body=b"x" * 20_000))
    for number in range(20):
        spool.put(
            envelope(id=f"c{number}", value=0.5, body=b"x" * 20_000, properties=CONTROL_SAMPLE)
        )
    kept = [number for number in range(20) if spool.find(f"c{number}")]
    assert len(kept) * 20_000 <= 94_000 < (len(kept) + 1) * 20_020
    assert kept[-1] == 19


def test_room_that_nobody_uses_is_the_control_samples_until_doubt_comes(
    open_spool: OpenSpool,
) -> None:
    spool = open_spool(max_bytes=1_000_000)
    for number in range(40):
        spool.put(
            envelope(id=f"c{number}", value=0.5, body=b"x" * 20_000, properties=CONTROL_SAMPLE)
        )
    assert spool.backlog()[Kind.ESCALATION].messages == 40
    for number in range(60):
        spool.put(envelope(id=f"d{number}", value=0.01, body=b"x" * 20_000))
    kept = sum(spool.find(f"c{number}") is not None for number in range(40))
    assert kept == 4
