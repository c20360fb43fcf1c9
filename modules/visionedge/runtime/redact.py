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
# Neither begins with an open repetition: on a long word that takes quadratic time.
_SECRETS: Final = (
    re.compile(r"[A-Za-z0-9+.-]://(?P<secret>\S*)@"),
    re.compile(
        # `code` is the key of an Azure function.
        r"(?:(?:pass|pwd|token|secret|sig|key|auth|credential)[\w.%-]{0,128}|[?&]code)"
        r"=(?P<secret>[^&;\s'\"]+)",
        re.IGNORECASE,
    ),
)


def redact(text: str) -> str:
    """`text` with `***` in the place of passwords, tokens, signatures and keys.

    Example:
        >>> redact("cannot open rtsp://admin:s3cret@10.0.0.5/live?token=abc")
        'cannot open rtsp://***@10.0.0.5/live?token=***'
    """
    # All are found in the text as it came, because hiding one could cover the sign of another.
    spans = sorted(found.span("secret") for rule in _SECRETS for found in rule.finditer(text))
    safe, end = "", 0
    for start, stop in spans:
        if start > end:
            safe += text[end:start] + HIDDEN
        end = max(end, stop)
    return safe + text[end:]
