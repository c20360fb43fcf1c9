"""A Vision API that the device asks by itself, without a verifier in the cloud."""

from typing import Self

from pydantic import Field, JsonValue, model_validator

from visionedge.settings.section import NEXT_START, Section


class DirectSettings(Section):
    """Direct mode, off by default. Takes effect at the next start; needs `visionedge[cloud]`."""

    enabled: bool = Field(
        False,
        title="Enabled",
        description="Escalations go to the Vision API of `route`, and not to the hub.",
    )
    route: dict[str, JsonValue] = Field(
        {},
        max_length=16,
        title="Route",
        description="`backend`, `want`, `labels` and so on, as one of `routes` in the verifier's "
        "settings; see the how-to page on direct mode.",
    )
    key: str = Field(
        "",
        max_length=256,
        pattern=r"^$|^\$\{(env|file):[^}]+\}$",
        title="Key",
        description="Of the Vision API, by reference only: `${env:NAME}` or "
        "`${file:/run/secrets/NAME}`.",
    )
    calls_per_day: int = Field(
        100,
        ge=0,
        le=10**6,
        title="Calls a day",
        description="That may be paid for (UTC); over it the module's own word stands.",
    )
    path: str = Field(
        "run/direct.db",
        min_length=1,
        title="Path",
        description="File of the budget and of what was asked, so that a restart pays nothing "
        "twice.",
        json_schema_extra=NEXT_START,
    )

    @model_validator(mode="after")
    def _with_route(self) -> Self:
        if self.enabled and not self.route:
            raise ValueError("`enabled` needs `route`: which Vision API, and what is wanted of it")
        return self
