"""Settled escalations that are kept on the device, to train from."""

from pydantic import Field

from visionedge.settings.section import YEAR_S, Section


class ArchiveSettings(Section):
    """A bounded folder of pictures that left, with their verdicts; `visionedge export` reads it."""

    enabled: bool = Field(
        False,
        title="Enabled",
        description="Keep each escalation that a Vision API's verdict settles; not what a person "
        "settles, whose word names no boxes. Its picture is the one that left, redacted as that "
        "was.",
    )
    path: str = Field(
        "run/archive",
        min_length=1,
        title="Path",
        description="The folder, made when something is first kept.",
    )
    max_bytes: int = Field(
        1024**3,
        ge=1024**2,
        le=1024**5,
        title="Most bytes",
        description="Of the folder; the oldest pictures go first.",
    )
    max_age_s: float = Field(
        90 * 86_400,
        ge=86_400,
        le=YEAR_S,
        title="Most age",
        description="Seconds; whole days that are older are deleted.",
    )
