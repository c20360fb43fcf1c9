"""Who made a bundle: Ed25519 over its hash, by keys that came with the image or a mount.

The hash in the twin says that a file is the one the twin means. The signature says that
somebody who is not the hub's operator has approved it. Signed is the text
`visionedge-model:` and the SHA-256 in hex, so that the file need not be read twice, and a
signature for something else is of no use here:

    printf 'visionedge-model:%s' "$SHA256" > text
    openssl pkeyutl -sign -rawin -inkey key.pem -in text | base64 -w0
"""

import base64
import binascii
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from visionedge.errors import ModelRefused

_PURPOSE: Final = "visionedge-model:"
_MAX_KEY_BYTES: Final = 16 * 1024


def check_signature(
    sha256: str, signature: str, policy: Literal["optional", "required"], keys: Path
) -> None:
    """Raise unless the policy is kept.

    Args:
        sha256: hex, of the file as it was checked.
        signature: base64; empty where there is none.
        policy: what a bundle without one means.
        keys: folder of public keys, PEM.

    Raises:
        ModelRefused: no signature and one is required, or none of the keys made it.
    """
    if not signature:
        if policy == "required":
            raise ModelRefused(
                "it has no signature, and delivery.signatures is required",
                hint="sign it, and put the signature beside its sha256",
            )
        return
    try:
        given = base64.b64decode(signature, validate=True)
    except binascii.Error:
        raise ModelRefused("its signature is not base64", hint="sign it again") from None
    if find_spec("cryptography") is None:
        raise ModelRefused(
            "its signature cannot be checked: the package cryptography is not installed",
            hint="install visionedge[edge] whole, or leave the signature out",
        )
    message = f"{_PURPOSE}{sha256}".encode()
    if not any(_made_by(path, given, message) for path in sorted(keys.glob("*.pem"))):
        raise ModelRefused(
            f"none of the keys in {keys} has made its signature",
            hint="sign it with a key that the device has, or give the device that key",
        )


def _made_by(path: Path, signature: bytes, message: bytes) -> bool:
    # Imported here: most devices never need it, and it is a big library.
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes()[:_MAX_KEY_BYTES])
    except (OSError, ValueError, UnsupportedAlgorithm):
        return False
    if not isinstance(key, Ed25519PublicKey):
        return False
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
