"""The image checks the signature of a model with what it has: big as that is, it is whole."""

import pytest
from tests.image.podman import AMD64, podman

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
SCRIPT = """
import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from visionedge.delivery.signature import check_signature
from visionedge.errors import ModelRefused

key = Ed25519PrivateKey.generate()
pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
Path("/tmp/line.pem").write_bytes(pem)
given = base64.b64encode(key.sign(b"visionedge-model:" + b"0" * 64)).decode()
check_signature("0" * 64, given, "required", Path("/tmp"))
print("taken")
try:
    check_signature("1" * 64, given, "required", Path("/tmp"))
except ModelRefused as error:
    print(error)
"""


def test_a_signature_is_taken_and_that_of_another_file_is_refused(flags: list[str]) -> None:
    words = ("run", "--rm", "--interactive", "--pull=never", *flags, "--entrypoint=python")
    taken, refused = podman(*words, AMD64, "-", text=SCRIPT).stdout.strip().split("\n", 1)
    assert taken == "taken"
    assert "none of the keys in /tmp has made its signature" in refused
