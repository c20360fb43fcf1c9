"""All settings of the module: one frozen pydantic tree, validated once per revision.

This tree is the one source of the JSON Schema, the reference page and the twin defaults
in `deployment.template.json`; each is generated from it. Unknown fields are refused, so a
typing error in a twin is an answer and not a silence. Nothing here reads the environment
when it is imported: `resolve` takes the sources, later ones winning field by field:

    defaults  <  file  <  environment (VISIONEDGE__SECTION__FIELD)  <  twin

Maps (`cameras`, `models`, `decision.classes`) are merged by key, and a null removes a
key, as in a twin patch (RFC 7386, JSON Merge Patch). The default camera is there only
until a layer names another one. Names of map keys may hold no `.`,
`$` or space, because a twin's may not; a label with a space is written with `_`.
"""

from visionedge.settings.beginning import Beginning, begin
from visionedge.settings.cameras import (
    CameraSettings,
    FileCamera,
    InputCamera,
    MotionSettings,
    PatternCamera,
    StreamCamera,
    UsbCamera,
)
from visionedge.settings.decision import ClassRule, DecisionSettings
from visionedge.settings.delivery import DeliverySettings
from visionedge.settings.escalation import (
    BudgetSettings,
    DriftSettings,
    EscalationSettings,
    RedactionSettings,
    SecondLookSettings,
    SnapshotSettings,
)
from visionedge.settings.last_good import NAME as LAST_GOOD_NAME
from visionedge.settings.last_good import LastGood
from visionedge.settings.next_start import waits_for_start
from visionedge.settings.secrets import missing_secrets, reveal
from visionedge.settings.sources import (
    DEFAULTS,
    ENV_PREFIX,
    Document,
    from_environment,
    from_file,
    merge,
    resolve,
    resolve_kept,
)
from visionedge.settings.tree import (
    EgressSettings,
    HttpSettings,
    InferenceSettings,
    LogSettings,
    ModelSettings,
    Settings,
    SpoolSettings,
    TelemetrySettings,
    ThenSettings,
    UplinkSettings,
)

__all__ = [
    "DEFAULTS",
    "ENV_PREFIX",
    "LAST_GOOD_NAME",
    "Beginning",
    "BudgetSettings",
    "CameraSettings",
    "ClassRule",
    "DecisionSettings",
    "DeliverySettings",
    "Document",
    "DriftSettings",
    "EgressSettings",
    "EscalationSettings",
    "FileCamera",
    "HttpSettings",
    "InferenceSettings",
    "InputCamera",
    "LastGood",
    "LogSettings",
    "ModelSettings",
    "MotionSettings",
    "PatternCamera",
    "RedactionSettings",
    "Settings",
    "SecondLookSettings",
    "SnapshotSettings",
    "SpoolSettings",
    "StreamCamera",
    "TelemetrySettings",
    "ThenSettings",
    "UplinkSettings",
    "UsbCamera",
    "begin",
    "from_environment",
    "from_file",
    "merge",
    "missing_secrets",
    "resolve",
    "resolve_kept",
    "reveal",
    "waits_for_start",
]
