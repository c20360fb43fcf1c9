"""A settled escalation as it is kept: the question, the answer, and where its picture lies.

The device's archive and the verifier's sink keep the same thing, so both are exported by the same
code. It is the escalation as it was sent, without the picture, and the verdict as it came: what a
trainer's format leaves out today may be what is wanted next year.

A line is JSON. Unknown fields are passed over, as in every message; a line that was cut by a loss
of power is no sample, and the reader goes on behind it.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from pydantic import AwareDatetime, Field

from visionedge.wire import Escalation, Id, InvalidMessage, Label, Message, Verdict


class Sample(Message):
    """`sample/1`: one line of an index."""

    schema_name: Literal["sample/1"] = Field(default="sample/1", alias="schema")
    id: Id = Field(description="of the escalation; of a device the last line of an id counts")
    kept_at: AwareDatetime
    # Its length is no part of the pattern: counted repeats of \w take 50 ms to compile.
    picture: str = Field(
        min_length=1,
        max_length=200,
        pattern=r"^[\w./:-]+$",
        description="of the JPEG, beside or below the folder of all",
    )
    escalation: Escalation = Field(
        description="as it was sent, with what was masked in it; `image.data` is empty"
    )
    verdict: Verdict
    outcome: Label | None = Field(default=None, description="what the module made of it")
    device: str = Field(default="", max_length=256)
    module: str = Field(default="", max_length=256)


def sample_of(
    escalation: Escalation,
    verdict: Verdict,
    *,
    kept_at: AwareDatetime,
    picture: str,
    outcome: str | None = None,
    device: str = "",
    module: str = "",
) -> Sample:
    """The sample of an escalation and its verdict; the picture is left out of it."""
    bare = escalation.model_copy(update={"image": escalation.image.model_copy(update={"data": ""})})
    return Sample(
        schema="sample/1",
        id=escalation.id,
        kept_at=kept_at,
        picture=picture,
        escalation=bare,
        verdict=verdict,
        outcome=outcome,
        device=device,
        module=module,
    )


def read_lines(index: bytes, damaged: Callable[[], object] = lambda: None) -> Iterator[Sample]:
    """The samples of an index; of each line that is no whole one `damaged` is told instead."""
    for line in index.splitlines():
        try:
            yield Sample.model_validate_json(line)
        except (InvalidMessage, ValueError):
            damaged()
