"""Take secrets out of text before it is logged, raised, reported or counted.

Cameras carry their password in their address, and the address is what every error wants
to name. The rule errs on the side of hiding: everything between `://` and the last `@`
of an address goes, because real passwords hold `/`, `#` and `@` unescaped, and every
value whose name sounds like a secret goes, wherever it stands: in a query, in a path
(`/user=admin&password=...`, as some recorders want it) or in a connection string.

Not promised: that a secret without a telling name or place is found.
"""

import re
from typing import Final

HIDDEN: Final = "***"
# Neither begins with an open repetition: on a long word that would take quadratic time.
_USERINFO: Final = re.compile(r"://\S*@")
_NAMED: Final = re.compile(
    r"(?P<name>(?:pass|pwd|token|secret|sig|key|auth|credential)[\w.%-]{0,128}=)[^&;\s'\"]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """`text` with `***` in the place of passwords, tokens, signatures and keys.

    Example:
        >>> redact("cannot open rtsp://admin:s3cret@10.0.0.5/live?token=abc")
        'cannot open rtsp://***@10.0.0.5/live?token=***'
    """
    text = _USERINFO.sub(f"://{HIDDEN}@", text)
    return _NAMED.sub(rf"\g<name>{HIDDEN}", text)
