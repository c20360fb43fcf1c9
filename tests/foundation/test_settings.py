"""The tree of settings: every field explained, every source in its order, every fault named."""

import typing
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from visionedge.errors import SettingsError
from visionedge.settings import (
    DEFAULTS,
    FileCamera,
    PatternCamera,
    Settings,
    StreamCamera,
    resolve,
)


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Every settings class within an annotation, however it is wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from models_in(inner)


def fields_of(model: type[BaseModel], path: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        yield f"{path}.{name}", field
        for inner in models_in(field.annotation):
            yield from fields_of(inner, f"{path}.{name}<{inner.__name__}>")


FIELDS = dict(fields_of(Settings, "settings"))


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_has_a_title_and_a_description(path: str) -> None:
    field = FIELDS[path]
    assert field.title
    assert field.description
    assert field.description.endswith(".")


def test_the_walk_reaches_fields_behind_maps_and_unions() -> None:
    assert "settings.cameras<StreamCamera>.url" in FIELDS
    assert "settings.decision<DecisionSettings>.classes<ClassRule>.accept" in FIELDS


def test_the_defaults_are_valid_and_run_the_virtual_line() -> None:
    settings = resolve([])
    assert settings == Settings()
    assert isinstance(settings.cameras["line-1"], PatternCamera)


def test_settings_cannot_be_changed_in_place() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        resolve([]).decision.accept = 0.1  # type: ignore[misc]  # that it is refused is the test


def test_later_layers_win_field_by_field() -> None:
    settings = resolve(
        [
            {"decision": {"accept": 0.6, "margin": 0.2}},
            {"decision": {"accept": 0.7}},
            {"log": {"level": "DEBUG"}},
        ]
    )
    assert (settings.decision.accept, settings.decision.margin) == (0.7, 0.2)
    assert settings.log.level == "DEBUG"


def test_null_brings_a_field_back_to_its_default() -> None:
    assert resolve([{"decision": {"accept": 0.9}}, {"decision": {"accept": None}}]) == Settings()
    assert resolve([{"decision": {"accept": 0.9}}, {"decision": None}]) == Settings()


def test_layers_and_defaults_are_left_as_they_were() -> None:
    layer: dict[str, Any] = {"cameras": {"line-1": {"max_fps": 5}}}
    before = (repr(layer), repr(DEFAULTS))
    resolve([layer, {"cameras": {"line-1": {"max_fps": 9}}}])
    assert (repr(layer), repr(DEFAULTS)) == before


def test_the_default_camera_is_adjusted_without_naming_its_kind() -> None:
    camera = resolve([{"cameras": {"line-1": {"fps": 60}}}]).cameras["line-1"]
    assert isinstance(camera, PatternCamera)
    assert camera.fps == 60


def test_the_default_camera_gives_way_to_a_named_one() -> None:
    # A twin cannot remove it: the hub keeps no nulls.
    twin = {"cameras": {"dock": {"kind": "file", "path": "dock.mp4"}}}
    assert set(resolve([twin]).cameras) == {"dock"}


def test_the_default_camera_stays_beside_others_when_it_is_named_too() -> None:
    twin = {"cameras": {"dock": {"kind": "file", "path": "x"}, "line-1": {"fps": 10}}}
    assert set(resolve([twin]).cameras) == {"dock", "line-1"}


def test_removing_a_camera_is_not_naming_one() -> None:
    assert resolve([{"cameras": {"line-1": None}}]).cameras == {}
    assert set(resolve([{"cameras": {"gone": None}}]).cameras) == {"line-1"}


@pytest.mark.parametrize("wrong", ["nonsense", 5, [], [{"kind": "pattern"}], True])
@pytest.mark.parametrize("later", [[], [{"decision": {"accept": 0.9}}], [{}, {}]])
def test_cameras_of_a_wrong_type_are_refused_in_whatever_layer(
    wrong: object, later: list[dict[str, Any]]
) -> None:
    with pytest.raises(SettingsError, match="cameras: must be an object"):
        resolve([{"cameras": wrong}, *later])


def test_a_camera_whose_kind_changes_begins_anew() -> None:
    layers: list[dict[str, Any]] = [
        {"cameras": {"line-1": {"kind": "pattern", "seed": 3, "max_fps": 5}}},
        {"cameras": {"line-1": {"kind": "file", "path": "line.mp4"}}},
    ]
    camera = resolve(layers).cameras["line-1"]
    assert isinstance(camera, FileCamera)
    assert camera.max_fps == FileCamera(kind="file", path="x").max_fps


def test_only_cameras_begin_anew_with_their_kind() -> None:
    settings = resolve([{"uplink": {"window": 4}}, {"uplink": {"kind": "local"}}])
    assert (settings.uplink.kind, settings.uplink.window) == ("local", 4)


DEEP: dict[str, Any] = {}
for _ in range(5000):
    DEEP = {"decision": DEEP}
CAMERA = {"kind": "pattern"}
LINE = [[0.1, 0.2], [0.3, 0.4], [0.9, 1.0], [0.2, 0.3]]
EIGHT = [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]
"""Its two halves go round in opposite directions: their areas add up to nothing."""

BAD: list[tuple[dict[str, Any], str]] = [
    ({"decison": {}}, "decison"),
    ({"decision": {"acept": 1}}, "decision.acept"),
    ({"decision": {"accept": 1.1}}, "decision.accept"),
    ({"decision": {"accept": "high"}}, "decision.accept"),
    ({"decision": {"accept": float("nan")}}, "decision.accept"),
    ({"decision": {"classes": {"a.b": {"accept": 1}}}}, "decision.classes.a.b"),
    ({"decision": {"classes": {"open": {"accept": -1}}}}, "decision.classes.open.accept"),
    ({"escalation": {"ttl_s": float("inf")}}, "escalation.ttl_s"),
    ({"escalation": {"ttl_s": 1e300}}, "escalation.ttl_s"),
    ({"escalation": {"snapshot": {"quality": 101}}}, "escalation.snapshot.quality"),
    ({"spool": {"max_bytes": 2**63}}, "spool.max_bytes"),
    ({"spool": {"path": ""}}, "spool.path"),
    ({"http": {"port": 65536}}, "http.port"),
    ({"log": {"level": "LOUD"}}, "log.level"),
    ({"cameras": 5}, "cameras"),
    ({"cameras": {"line-1": 5}}, "cameras.line-1"),
    ({"cameras": {"x": {}}}, "cameras.x"),
    ({"cameras": {"x": {"kind": "film"}}}, "cameras.x"),
    ({"cameras": {"x": {"kind": "pattern", "fps": 0}}}, "cameras.x.fps"),
    ({"cameras": {"x": {"kind": "file"}}}, "cameras.x.path"),
    ({"cameras": {"x": {"kind": "stream", "url": "ftp://host/a"}}}, "cameras.x.url"),
    ({"cameras": {"a b": {"kind": "pattern"}}}, "cameras.a b"),
    ({"cameras": {"line-1": {"tiles": {"width_px": 63}}}}, "cameras.line-1.tiles.width_px"),
    ({"cameras": {"line-1": {"tiles": {"height_px": 1}}}}, "cameras.line-1.tiles.height_px"),
    ({"cameras": {"line-1": {"region": [[0.5, 0.5]] * 3}}}, "cameras.line-1.region"),
    ({"cameras": {"line-1": {"region": LINE}}}, "cameras.line-1.region"),
    ({"cameras": {"line-1": {"masks": [LINE]}}}, "cameras.line-1.masks.0"),
    ({"cameras": {"x": {"kind": "usb", "masks": [EIGHT, LINE]}}}, "cameras.x.masks.1"),
    ({"cameras": {"line-1": {"seed": 2**32}}}, "cameras.line-1.seed"),
    ({"cameras": {"line-1": {"model": "none"}}}, "cameras.line-1.model"),
    ({"models": {"default": None}}, "cameras.line-1.model"),
    ({"models": {"default": {"path": ""}}}, "models.default.path"),
    ({"models": {"default": {"providers": []}}}, "models.default.providers"),
    ({"models": {"default": {"intra_op_threads": -1}}}, "models.default.intra_op_threads"),
    ({"telemetry": {"interval_s": True}}, "telemetry.interval_s"),
    ({"decision": {"accept": "0.7"}}, "decision.accept"),
    ({"decision": {"classes": {"open": {"accept": False}}}}, "decision.classes.open.accept"),
    ({"escalation": {"enabled": "off"}}, "escalation.enabled"),
    ({"escalation": {"queue": "8"}}, "escalation.queue"),
    ({"cameras": {"line-1": {"motion": {"level": True}}}}, "cameras.line-1.motion.level"),
    ({"cameras": {"line-1": {"region": [[0, 0], [True, 0], [0, 1]]}}}, "cameras.line-1.region.1.0"),
    ({"cameras": {f"c{n}": CAMERA for n in range(65)}}, "cameras"),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "field"), BAD, ids=[field for _, field in BAD])
def test_a_bad_field_is_named_with_its_reason(layer: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([layer])
    assert field in caught.value.fields
    assert caught.value.fields[field]
    assert f"{field}: " in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 2


def test_all_bad_fields_are_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([{"decision": {"accept": 2, "margin": 3}, "http": {"port": -1}}])
    assert set(caught.value.fields) == {"decision.accept", "decision.margin", "http.port"}


def test_a_refused_address_does_not_show_its_password() -> None:
    camera = {"kind": "stream", "url": "gopher://ann:s3cret@host/", "open_timeout_s": -1}
    with pytest.raises(SettingsError) as caught:
        resolve([{"cameras": {"gate": camera}}])
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.fields)


def test_stream_addresses_of_all_four_schemes_are_taken() -> None:
    for scheme in ("rtsp", "rtsps", "http", "https"):
        url = f"{scheme}://host/stream"
        camera = resolve([{"cameras": {"gate": {"kind": "stream", "url": url}}}]).cameras["gate"]
        assert isinstance(camera, StreamCamera)


def test_a_polygon_that_crosses_itself_or_is_small_is_taken() -> None:
    small = [[0.5, 0.5], [0.502, 0.5], [0.502, 0.502]]
    camera = resolve([{"cameras": {"line-1": {"region": EIGHT, "masks": [small]}}}]).cameras
    assert camera["line-1"].region == tuple(tuple(corner) for corner in EIGHT)


def test_a_whole_number_may_have_a_fraction_of_nothing_and_a_share_none() -> None:
    settings = resolve([{"spool": {"max_bytes": 1e9}, "telemetry": {"interval_s": 5}}])
    assert (settings.spool.max_bytes, settings.telemetry.interval_s) == (10**9, 5.0)


def test_settings_that_are_nested_without_end_are_refused_where_they_are() -> None:
    with pytest.raises(SettingsError, match="deeper than 16") as caught:
        resolve([{"http": {"port": 1}}, {"decision": {"classes": DEEP}}])
    (path,) = caught.value.fields
    assert path.startswith("decision.classes.decision.")


def test_lists_that_are_nested_without_end_are_refused_in_plain_words() -> None:
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    with pytest.raises(SettingsError, match="is nested too deeply"):
        resolve([{"direct": {"route": {"want": deep}}}])


def test_a_flood_of_bad_fields_gives_a_short_message_and_all_reasons() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([{f"field-{n}": n for n in range(5000)}])
    assert len(caught.value.fields) == 5000
    assert len(str(caught.value)) < 4096
    assert "and 4980 more" in str(caught.value)


def test_a_name_of_a_megabyte_does_not_fill_the_log() -> None:
    with pytest.raises(SettingsError) as caught:
        resolve([{"x" * 1_000_000: 1}])
    assert len(str(caught.value)) < 4096


@pytest.mark.parametrize("path", ["http.host", "spool.path", "egress.path", "log.trace"])
def test_a_nul_that_would_end_the_next_start_is_refused(path: str) -> None:
    section, name = path.split(".")
    with pytest.raises(SettingsError, match=path):
        resolve([{section: {name: "a\0b"}}])
