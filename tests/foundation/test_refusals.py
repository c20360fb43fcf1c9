"""What a schema refused is told in the words of whoever wrote the document."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from visionedge.refusals import reason


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["part"] = "part"
    width_px: int = Field(1, ge=1)


class Hole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["hole"] = "hole"


class Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: dict[str, Annotated[Part | Hole, Field(discriminator="kind")]] = {}
    share: float = Field(0.5, le=1)
    name: str

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        if not name:
            raise ValueError("a name has letters")
        return name


def refused(document: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(document)
    items = caught.value.errors(include_url=False, include_input=False)
    return {str(item["loc"][-1]): reason(item, Whole) for item in items}


def test_an_unknown_name_comes_with_the_nearest_one() -> None:
    assert refused({"name": "a", "shares": 1}) == {
        "shares": "there is no such field; is it `share`?"
    }


def test_an_unknown_name_below_a_map_and_a_kind_is_looked_up_there() -> None:
    part = {"kind": "part", "widht_px": 3}
    assert refused({"name": "a", "parts": {"left": part}}) == {
        "widht_px": "there is no such field; is it `width_px`?"
    }


def test_a_name_like_no_other_is_only_refused() -> None:
    assert refused({"name": "a", "zebra": 1}) == {"zebra": "there is no such field"}


def test_a_wrong_kind_is_told_with_the_kinds_that_there_are() -> None:
    wrong = {"left": {"kind": "parts"}, "right": {}}
    assert refused({"name": "a", "parts": wrong}) == {
        "left": "kind `parts` must be one of part, hole",
        "right": "kind is missing",
    }


def test_values_are_refused_without_the_words_of_programmers() -> None:
    assert refused({"share": 7, "name": "a"}) == {"share": "must be less than or equal to 1"}
    assert refused({}) == {"name": "is missing"}
    assert refused({"name": "a", "parts": []}) == {
        "parts": "must be an object, with its fields in braces"
    }
    assert refused({"name": ""}) == {"name": "a name has letters"}
    assert refused({"name": 3}) == {"name": "must be a valid string"}
