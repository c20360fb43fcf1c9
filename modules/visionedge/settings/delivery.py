"""How models that the twin names are fetched, proven and put into use."""

from typing import Literal

from pydantic import Field

from visionedge.settings.section import NEXT_START, YEAR_S, Section, Unit


class DeliverySettings(Section):
    """Of models with a `uri`: from the download to the end of the guard window."""

    signatures: Literal["optional", "required"] = Field(
        "optional",
        title="Signatures",
        description="required: a bundle without a good signature is refused. optional: a "
        "signature that is given must be good.",
    )
    keys_path: str = Field(
        "/etc/visionedge/keys",
        min_length=1,
        title="Keys",
        description="Folder of Ed25519 public keys, PEM files `*.pem`; in the image or mounted. "
        "Takes effect at the next start.",
        json_schema_extra=NEXT_START,
    )
    max_bytes: int = Field(
        1024**3, ge=1024, le=16 * 1024**3, title="Most bytes", description="Of one download."
    )
    timeout_s: float = Field(
        3600,
        ge=1,
        le=7 * 86_400,
        title="Timeout",
        description="Seconds for one attempt to download; the next one goes on where it ended.",
    )
    shadow_frames: int = Field(
        100,
        ge=0,
        le=100_000,
        title="Shadow frames",
        description="Live frames that a new bundle looks at beside the active one before it "
        "takes over; each costs one more inference.",
    )
    canary_share: Unit = Field(
        0.0,
        title="Canary share",
        description="Share of live frames that a new bundle answers, after the shadow and before "
        "it takes over; on each of them the active one looks as well. 0 is no canary.",
    )
    canary_s: float = Field(
        3600,
        gt=0,
        le=YEAR_S,
        title="Canary time",
        description="Seconds for which it does so; a restart does not begin them anew.",
    )
    guard_frames: int = Field(
        300,
        ge=0,
        le=1_000_000,
        title="Guard frames",
        description="Frames after the change in which errors, latency or disagreement put the "
        "bundle before back.",
    )
    max_errors: int = Field(
        2,
        ge=0,
        le=1000,
        title="Most errors",
        description="Frames on which a new bundle may fail from shadow to guard together.",
    )
    max_latency_ratio: float = Field(
        2.0,
        ge=0.1,
        le=1000,
        title="Most latency",
        description="Median time of a frame, as a multiple of that of the active bundle.",
    )
    min_agreement: Unit = Field(
        0.5,
        title="Least agreement",
        description="Share of sure objects, or of frames of a classifier, on which both bundles "
        "agree; 0 does not ask.",
    )
