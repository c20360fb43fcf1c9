"""Image references as Docker takes them, and what it takes for none."""

import pytest

from visionedge.deployment.images import fault

DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    "reference",
    [
        "busybox",
        "library/busybox:1.36",
        "mcr.microsoft.com/azureiotedge-hub:1.6",
        "My.azurecr.io/visionedge:0.1.0-arm64v8",
        "localhost:5000/a/b__c/d-e--f:_x.Y",
        "10.0.0.5:5000/visionedge",
        "$upstream:443/visionedge:0.1.0-arm64v8",
        "$upstream/visionedge",
        "[2001:db8::1]:5000/visionedge",
        f"registry.example/visionedge@{DIGEST}",
        f"registry.example:5000/visionedge:1@{DIGEST}",
        "registry.example/visionedge:" + "x" * 128,
    ],
)
def test_an_image_is_taken(reference: str) -> None:
    assert fault(reference) == ""


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("", "empty part"),
        ("https://My.azurecr.io//visionedge:0.1.0-arm64v8", "without `https://`"),
        ("my.azurecr.io//visionedge:1", "end the registry's address without `/`"),
        ("UPPER case:bad tag", "a space or a `#`"),
        ("my.azurecr.io # ours/visionedge:1", "a space or a `#`"),
        ("registry.example/VisionEdge:1", "in lower case"),
        ("registry.example/-a:1", "in lower case"),
        ("registry..example/a:1", "is no address of a registry"),
        ("registry.example:port/a:1", "is no address of a registry"),
        ("registry.example/a:", "a tag has"),
        ("registry.example/a:-x", "a tag has"),
        ("registry.example/a:" + "x" * 129, "a tag has"),
        ("registry.example/a@sha256:0", "a digest is"),
        ("registry.example/a@", "a digest is"),
        ("registry.example/" + "a" * 250, "255"),
    ],
)
def test_what_is_no_image_is_told_with_the_reason(reference: str, reason: str) -> None:
    assert fault(reference).startswith("`")
    assert reason in fault(reference)


def test_a_password_in_an_address_is_not_told() -> None:
    assert "hunter2" not in fault("https://puller:hunter2@registry.example/a")
