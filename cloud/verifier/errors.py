"""Every error that the verifier raises, drawn by what the caller can do about it.

    VerifierError                   exit code
    ├── SettingsRefused             2    a setting is wrong: mend the named field
    ├── PoisonMessage                    never: set it aside with its reason
    ├── StoreError                  5
    │   ├── StoreConflict                somebody else wrote first: read again
    │   └── StoreUnavailable             not now: the message comes again
    ├── BackendError                7
    │   ├── BackendBusy                  ask again after `retry_after_s`
    │   ├── BackendRefused               this picture never: answer `unverified`
    │   └── BackendMisconfigured         no picture at all: stop, and wake somebody
    └── ReplyError                  8
        ├── ReplyDeferred                the module is away: keep the verdict
        ├── ReplyRefused                 the module will not take this verdict, ever
        └── ReplyForbidden               the hub refuses our identity: stop

The tree is its own, not the module's: the cloud half shares the messages with the module and
nothing else, and an operator of one need not read the errors of the other.

An error says what happened in its message and what to do in `hint`. Neither holds a key, a
token or a picture.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class VerifierError(Exception):
    """The root: `str(error)` tells what happened, `error.hint` what to do about it."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class SettingsRefused(VerifierError):
    """A setting is wrong; the message names it."""

    exit_code = 2


@contextmanager
def below(path: str, *, but: str = "") -> Iterator[None]:
    """Put the path of a part before the field that the part refuses.

    Args:
        but: What a field begins with that is named from further up already.

    Raises:
        SettingsRefused: as within, by the field's whole path.
    """
    try:
        yield
    except SettingsRefused as error:
        if not (but and str(error).startswith(but)):
            error.args = (f"{path}.{error.args[0]}",)
        raise


class PoisonMessage(VerifierError):
    """A message that no number of attempts will answer; `reason` is a short code."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreError(VerifierError):
    """Something about the place where the ledger lives."""

    exit_code = 5


class StoreConflict(StoreError):
    """The entry changed, or exists already, since it was read."""


class StoreUnavailable(StoreError):
    """The store cannot be reached or does not answer now."""


class StoreDamaged(StoreUnavailable):
    """What is stored cannot be read any more, and no waiting will mend it."""


class BackendError(VerifierError):
    """Something about a Vision API."""

    exit_code = 7


class BackendBusy(BackendError):
    """Throttled, failing or silent; it is worth asking again.

    Args:
        retry_after_s: What the service asked for; None where it did not say.
        billed: False only where it is known that the call cost nothing.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        billed: bool = True,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        self.billed = billed


class BackendRefused(BackendError):
    """The service will not answer this picture, however often it is asked."""


class BackendMisconfigured(BackendError):
    """The key, the address or the model is wrong: every picture would fail alike."""

    billed = False
    """True where a call before the one that failed was charged."""


class ReplyError(VerifierError):
    """Something about the way back to the module."""

    exit_code = 8


class ReplyDeferred(ReplyError):
    """The module is away, slow or throttled: the verdict stays and is tried again."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ReplyRefused(ReplyError):
    """The module answered that it will never take this."""


class ReplyForbidden(ReplyError):
    """The hub refuses our identity: every verdict would fail alike."""
