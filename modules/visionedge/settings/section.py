"""What every part of the settings has in common."""

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    field_validator,
)


def _from_text(value: object) -> object:
    """Numbers are no times here: nobody could say of what they are seconds."""
    if value is None or isinstance(value, datetime):
        return value
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        raise ValueError("write a time as text, such as 2026-11-21T18:00:00Z") from None


def _as_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("beyond the times that can be counted") from None


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Key of a map: a twin allows no `.`, `$` or space in it."""
YEAR_S: Final = 366 * 86_400
"""Longest of all times: more would leave the range of a date."""
Moment = Annotated[AwareDatetime, BeforeValidator(_from_text), AfterValidator(_as_utc)]
"""A time that people and programs write as ISO 8601, with its zone; kept in UTC."""
Unit = Annotated[float, Field(ge=0, le=1)]
NEXT_START: Final[dict[str, JsonValue]] = {"x-next-start": True}
"""Marks a field that is read once, as the process starts; the twin is answered 202 for it."""


class Section(BaseModel):
    """Base of every part of the settings.

    Only what is validated by itself is built, when that is first done: a start validates the tree
    and no part of it alone. So defaults are made by `model_construct`; a test validates them.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        defer_build=True,
        # A field has one name outside: that of the twin.
        serialize_by_alias=True,
    )

    @field_validator("*")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        """No file, address or label has one, and what is given it at the next start ends there."""
        if isinstance(value, str) and "\0" in value:
            raise ValueError("holds a NUL character")
        return value
