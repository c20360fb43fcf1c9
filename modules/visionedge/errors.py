"""Every error that visionedge raises, drawn by what the caller can do about it.

    VisionEdgeError                 exit code
    ├── SettingsError               2    a setting is wrong: mend the named field
    ├── ModelError                  3
    │   ├── ModelCardError               the card, labels or bundle layout is wrong
    │   ├── ModelLoadError               the file is no model this runtime can load
    │   │   └── ModelUntried             its trial was cut off: the model or the moment
    │   ├── ModelRunError                the model loaded and then failed on a frame
    │   ├── ModelUnavailable             it cannot be fetched now: try again later
    │   └── ModelRefused                 what was fetched is not to be used: name another
    ├── CameraError                 4
    │   ├── CameraUnavailable            try again later; the feed does, with back-off
    │   ├── CameraEnded                  the file or folder is read to its end
    │   └── FrameRefused                 a frame that was sent in: tell its sender why
    ├── SpoolError                  5
    │   ├── SpoolUnavailable             disk full or read-only: inference goes on without it
    │   └── SpoolCorrupt                 the file was set aside and a new one begun
    ├── UplinkError                 6
    │   ├── UplinkUnavailable            not now: keep the envelope and send it later
    │   │   ├── UplinkDown               there is no link, and that was said: say nothing
    │   │   └── EgressUnwritable         our own disk is full: the link is not to blame
    │   ├── UplinkRejected               never: this envelope cannot be sent as it is
    │   └── UplinkAuthFailed             the hub refuses our identity: rebuild the client
    ├── VerifierError               7
    │   ├── VerifierBusy                 ask again after `retry_after_s`
    │   └── VerifierRefused              do not ask again with the same input
    └── RedactionError              8    do not send this picture: nobody can say what it shows

The vendors' own errors (onnxruntime, azure-iot-device, sqlite3, OpenCV) are mapped to
these where the vendor is imported, so no other part catches a vendor's class. The exit
code of the process is that of the error which ended it; edgeAgent restarts a module
that ends with anything but 0, and the code shows in `docker inspect` and its log.

An error says what happened in its message and what to do in `hint`. Neither ever holds
a secret: addresses are redacted before they come here.
"""

from typing import ClassVar, Final

EXIT_OK: Final = 0
EXIT_UNEXPECTED: Final = 1
EXIT_STUCK: Final = 70
"""A native call would not return, or the link could not be rebuilt: a restart is the mend."""


class VisionEdgeError(Exception):
    """The root: `str(error)` tells what happened, `error.hint` what to do about it."""

    exit_code: ClassVar[int] = EXIT_UNEXPECTED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message} ({self.hint})" if self.hint else message


class SettingsError(VisionEdgeError):
    """A setting was refused; `fields` maps each dotted path to its reason."""

    exit_code = 2

    def __init__(
        self, message: str, *, fields: dict[str, str] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.fields = fields or {}


class ModelError(VisionEdgeError):
    """Something about a model."""

    exit_code = 3


class ModelCardError(ModelError):
    """The card, the labels or the layout of a bundle is wrong, or cannot be told."""


class ModelLoadError(ModelError):
    """The file is not a model that this runtime can load."""


class ModelUntried(ModelLoadError):
    """Its trial was killed, ran out of time or said nothing: the model or the moment is bad."""


class ModelRunError(ModelError):
    """The model loaded and then failed, or answered nonsense, on a frame."""


class ModelUnavailable(ModelError):
    """A bundle cannot be fetched now; what has arrived is kept."""


class ModelRefused(ModelError):
    """A bundle has the wrong hash, size or signature, or is not there."""


class CameraError(VisionEdgeError):
    """Something about a camera."""

    exit_code = 4


class CameraUnavailable(CameraError):
    """No picture now; it is worth trying again."""


class CameraEnded(CameraError):
    """There will be no more frames: a file or folder was read to its end."""


class FrameRefused(CameraError):
    """A frame that another module sent is not looked at; `code` says why to programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SpoolError(VisionEdgeError):
    """Something about the durable store."""

    exit_code = 5


class SpoolUnavailable(SpoolError):
    """The store cannot take or give anything now; inference does not depend on it."""


class SpoolCorrupt(SpoolError):
    """The file was damaged; it was set aside under the name in the message."""


class UplinkError(VisionEdgeError):
    """Something about the way to the cloud."""

    exit_code = 6


class UplinkUnavailable(UplinkError):
    """Not now. Keep what you were sending; it may or may not have arrived."""


class UplinkDown(UplinkUnavailable):
    """There is no link, which whoever keeps it has said already: keep it, and say nothing."""


class EgressUnwritable(UplinkUnavailable):
    """A picture may not leave before that is written down, and the disk does not take the line."""


class UplinkRejected(UplinkError):
    """Never. What you were sending cannot be sent as it is."""


class UplinkAuthFailed(UplinkError):
    """The hub or the workload API refuses our identity; only a new client can mend it."""


class VerifierError(VisionEdgeError):
    """Something about the second opinion."""

    exit_code = 7


class VerifierBusy(VerifierError):
    """Throttled or failing; ask again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class VerifierRefused(VerifierError):
    """The verifier will not answer this input, however often it is asked."""


class RedactionError(VisionEdgeError):
    """What must not be seen could not be found in a picture; it must not leave the device."""

    exit_code = 8
