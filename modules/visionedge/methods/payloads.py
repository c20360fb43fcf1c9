"""What each direct method takes, as models: read, refused by field, and documented from here."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from visionedge.wire import Message

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class Payload(Message):
    """Base of all payloads. Unknown fields are refused: a typing error must not do half of it.

    Nor is one kind of value taken for another, such as true for 1.
    """

    model_config = ConfigDict(extra="forbid", strict=True)


class Nothing(Payload):
    """No payload: null or {}."""


class OneCamera(Payload):
    """One camera."""

    camera: Name = Field(description="name in `cameras`")


class SomeCameras(Payload):
    """One camera, or all."""

    camera: Name | None = Field(default=None, description="name in `cameras`; all where left out")


class OneEscalation(Payload):
    """One escalation."""

    escalation_id: str = Field(min_length=1, max_length=64, description="`id` of the message")


class OperatorWord(Payload):
    """What a person says who has seen the part."""

    escalation_id: str = Field(min_length=1, max_length=64, description="`id` of the message")
    word: Literal["confirmed", "corrected", "rejected", "missed"] = Field(
        description="confirmed: all claims are right; corrected: they are something else; "
        "rejected: nothing is there; missed: something more is there"
    )
    label: str = Field(default="", max_length=256, description="what was missed, or what it is")
    by: str = Field(default="", max_length=64, description="who says so, for the record")


class Limit(Payload):
    """How many."""

    limit: int = Field(default=20, ge=1, le=50, description="most entries, newest first")


class Patch(Payload):
    """A change of the desired properties, to be tried and not made."""

    # Looked through with the settings, which say where it is nested too deeply.
    patch: dict[str, Any] = Field(description="as it would be written into the twin")
    replace: bool = Field(
        default=False, description="true: the whole document, instead of a change of it"
    )


class OneModel(Payload):
    """One model."""

    model: Name = Field(description="name in `models`")


def payload_of(kind: type[Message], payload: Any) -> Message:  # noqa: ANN401 - JSON from outside
    """Read a payload; null, which the hub sends where there is none, is {}.

    Raises:
        InvalidMessage: each bad field is named.
    """
    return kind.read({} if payload is None else payload)
