"""What every part of the settings has in common."""

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""Key of a map: a twin allows no `.`, `$` or space in it."""
YEAR_S: Final = 366 * 86_400
"""Longest of all times: more would leave the range of a date."""
Unit = Annotated[float, Field(ge=0, le=1)]
NEXT_START: Final[dict[str, JsonValue]] = {"x-next-start": True}
"""Marks a field that is read once, as the process starts; the twin is answered 202 for it."""


class Section(BaseModel):
    """Base of every part of the settings."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False
    )
