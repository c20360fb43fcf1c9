"""No picture leaves the device but through the redaction: held by who may make and encode one."""

import ast
from collections.abc import Iterator
from typing import Final

import pytest
from tests.architecture.sources import Fault, Source, broken, dotted, snippet, visionedge

_HOMES: Final = {
    "RedactedImage": ("visionedge.escalation.redact",),
    "imencode": ("visionedge.escalation.jpeg",),
    # A person at the device draws pictures for himself; they are written where he asks.
    "imwrite": ("visionedge.commands",),
}


def picture_makers(source: Source) -> Iterator[Fault]:
    """Calls that make a redacted picture, or bytes of a picture, outside their homes."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            name = dotted(node.func).rpartition(".")[2]
            homes = _HOMES.get(name)
            if homes is not None and not source.is_in(*homes):
                yield Fault(source.path, node.lineno, f"`{name}` is called in {homes[0]} only")


def test_pictures_are_made_and_encoded_behind_the_redaction() -> None:
    faults = broken(picture_makers, visionedge())
    assert not faults, f"what leaves the device has passed the redaction:\n{faults}"


@pytest.mark.parametrize(
    "text", ["RedactedImage(image, 0)", "redact.RedactedImage(image, 0)", "cv2.imencode('.jpg', a)"]
)
def test_a_way_around_the_redaction_is_found(text: str) -> None:
    assert list(picture_makers(snippet("visionedge.escalation.snapshot", text)))


def test_the_rule_sees_both_homes() -> None:
    found = {
        name
        for source in visionedge()
        for name in _HOMES
        if source.is_in(*_HOMES[name]) and f"{name}(" in source.text
    }
    assert {"RedactedImage", "imencode"} <= found
