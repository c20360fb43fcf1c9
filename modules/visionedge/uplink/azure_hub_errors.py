"""What the device SDK's errors mean to us.

It has two families that share names and no base: one in `exceptions`, one in
`common.transport_exceptions`, which comes through where it forgot to translate. It also
wraps what it did not expect into a ClientError, so the truth is in the chain of causes.
"""

import re
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from visionedge.errors import UplinkAuthFailed, UplinkError, UplinkUnavailable

_MOST_TEXT: Final = 300
_STATUS: Final = re.compile(r"returned status (4\d\d)")
"""The SDK puts the status of a twin operation into the text of a ServiceError only."""
_WORTH_TRYING: Final = ("408", "429")
_NO_SOCKET: Final = FileNotFoundError.__name__
"""Within the text of what its HTTP client raises, without being a cause of it."""


def mapped_error(error: BaseException) -> UplinkError:
    """What an error of the SDK means to us; auth if anything in its chain of causes says so."""
    chain = causes(error)
    found = {
        meaning
        for kind, meaning in error_meanings().items()
        if any(isinstance(each, kind) for each in chain)
    }
    text = " < ".join(f"{type(each).__name__}: {each}"[:_MOST_TEXT] for each in chain)
    if UplinkAuthFailed in found:
        return UplinkAuthFailed(text, hint="a new client fetches new credentials")
    return UplinkUnavailable(text, hint=_hint(chain, text))


def _hint(chain: list[BaseException], text: str) -> str:
    if any(isinstance(each, OSError) and each.filename for each in chain):
        # The SDK and we open one file by name: an authority to trust.
        return "EdgeModuleCACertificateFile names it: mount it, and let the module's user read it"
    if _NO_SOCKET in text:
        return "IoT Edge's socket is not here: let edgeAgent start the module, which mounts it"
    return ""


def causes(error: BaseException | None) -> list[BaseException]:
    """The error and what it was raised from, outermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__
    return chain


def is_refusal(error: BaseException | None) -> bool:
    """True where trying the same again is of no use: a 4xx, or a bad value."""
    chain = causes(error)
    if isinstance(error, ValueError | TypeError):
        return True
    statuses = (_STATUS.search(str(each)) for each in chain)
    return any(status and status[1] not in _WORTH_TRYING for status in statuses)


@lru_cache(maxsize=1)
def error_meanings() -> Mapping[type[BaseException], type[UplinkError]]:
    """Every class of error that the SDK may raise, and what it means.

    A test walks the SDK's two modules of exceptions for classes that are missing here.
    """
    from azure.iot.device import exceptions as public
    from azure.iot.device.common import transport_exceptions as transport
    from azure.iot.device.common.auth.sastoken import SasTokenError

    return {
        public.CredentialError: UplinkAuthFailed,
        transport.UnauthorizedError: UplinkAuthFailed,
        transport.TlsExchangeAuthError: UplinkAuthFailed,
        SasTokenError: UplinkAuthFailed,
        ssl.SSLCertVerificationError: UplinkAuthFailed,
        public.ClientError: UplinkUnavailable,
        public.ConnectionFailedError: UplinkUnavailable,
        public.ConnectionDroppedError: UplinkUnavailable,
        public.NoConnectionError: UplinkUnavailable,
        public.OperationCancelled: UplinkUnavailable,
        public.OperationTimeout: UplinkUnavailable,
        public.ServiceError: UplinkUnavailable,
        transport.ConnectionFailedError: UplinkUnavailable,
        transport.ConnectionDroppedError: UplinkUnavailable,
        transport.NoConnectionError: UplinkUnavailable,
        transport.ProtocolClientError: UplinkUnavailable,
        transport.ProtocolProxyError: UplinkUnavailable,
        OSError: UplinkUnavailable,
    }
