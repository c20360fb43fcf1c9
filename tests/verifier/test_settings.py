"""Settings that are wrong are refused by name, before anything runs; right ones build a worker."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.support.cloud import META, body, escalation, jpeg
from tests.support.vision_stub import Reply, example, serving

from verifier.backends.registry import BACKENDS, RETIRED
from verifier.build import build, file_store
from verifier.core import Kind
from verifier.errors import BackendMisconfigured, SettingsRefused
from verifier.opinion import Metered, calls_of
from verifier.settings import parse_settings, read_settings
from verifier.stores.memory import MemoryStore

HUB = "HostName=h.azure-devices.net;SharedAccessKeyName=service;SharedAccessKey=c2VjcmV0IQ=="
ENVIRONMENT = {"VISION_KEY": "k-1", "HUB": HUB}


def document(endpoint: str = "https://v.example", **backend: Any) -> dict[str, Any]:  # noqa: ANN401
    region = {"name": "westeurope", "endpoint": endpoint, "key_env": "VISION_KEY"}
    kind = {"kind": "ia40", "regions": [region]} | backend
    return {
        "routes": {"*": {"backend": kind, "want": ["objects"], "labels": {"Laptop": "laptop"}}},
        "hub": {"connection_string_env": "HUB"},
        "store": {"file": "ledger.db"},
    }


def test_settings_build_a_worker_that_asks_the_service_they_name() -> None:
    answer = example("ia40_AnalyzeFromImageData_MaximumSet")
    with serving(Reply(200, answer)) as stub:
        built = build(parse_settings(document(stub.endpoint)), ENVIRONMENT, MemoryStore())
        message = escalation("a", picture=jpeg(864, 576), ttl_s=10 * 365 * 86_400)
        message["image"] |= {"width": 864, "height": 576}
        assert built.core.handle(json.dumps(message).encode(), META).kind is Kind.VERIFIED
    assert stub.requests[0].headers["Ocp-Apim-Subscription-Key"] == "k-1"
    assert built.courier.waiting == 1


def extra(kind: str) -> dict[str, Any]:
    model = "models/pcb-defects" if kind == "onnx" else "m"
    texts = {"ok": "a good board", "bad": "a bad board"}
    return {"project_id": "p", "published_name": "i", "model": model, "texts": texts}


WANTED = {
    "ia40": "objects",
    "cv32": "brands",
    "customvision": "objects",
    "face": "faces",
    "luxand": "faces",
    "embed": "labels",
    "docint": "text",
    "contentunderstanding": "labels",
    "rekognition": "labels",
    "onnx": "objects",
}


@pytest.mark.parametrize("kind", BACKENDS)
def test_every_backend_is_built_from_settings(kind: str) -> None:
    settings = document(kind=kind, **extra(kind))
    settings["routes"]["*"]["want"] = [WANTED[kind]]
    built = build(parse_settings(settings), ENVIRONMENT, MemoryStore())
    assert built.core.routes["*"].backend.name == kind


@pytest.mark.parametrize("kind", [*RETIRED, "crystalball"])
def test_what_is_retired_or_unknown_is_refused_with_the_way_out(kind: str) -> None:
    with pytest.raises(SettingsRefused, match="kind"):
        build(parse_settings(document(kind=kind)), ENVIRONMENT, MemoryStore())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"routes": {}}, r"routes: no `\*`"),
        ({"hub": {}, "x": 1}, "x: there is no such field"),
        ({"budget": {"per_hub": -1}}, "budget.per_hub"),
        ({"store": None}, "store"),
        ({"worker": {"threads": 0}}, "worker.threads"),
        ({"store": {}}, "store: give account_url, connection_string_env or file"),
        ({"store": {"account_url": "https://"}}, "store.account_url: 'https://' is no https"),
        ({"store": {"file": "x", "container": ""}}, "store.container: .* at least 1"),
        ({"store": {"file": "x", "container": "No"}}, "store.container: a container has 3 to 63"),
        ({"dataset": {"container": "a--b"}}, "dataset.container: a container has 3 to 63"),
        ({"events": {"namespace": "sb://n"}}, "events.namespace: give a host's name"),
        ({"events": {"namespace": "n"}}, "events.namespace: give a host's name"),
        ({"events": {"name": ""}}, "events.name: "),
        ({"hub": {"host": "https://h.azure-devices.net"}}, "hub.host: give a host's name"),
        ({"hub": {"host": "h.azure-devices.net/a b"}}, "hub.host: give a host's name"),
        ({"hub": {"host": "h.azure-devices.net "}}, "hub.host: give a host's name"),
        ({"worker": {"cache_days": 1e12}}, "worker.cache_days"),
        ({"worker": {"cache_days": float("inf")}}, "worker.cache_days"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsRefused, match=named):
        parse_settings(document() | change)


def test_a_label_that_no_verdict_takes_is_refused_before_a_picture_is_charged() -> None:
    settings = document()
    settings["routes"]["*"]["labels"] = {"Laptop": "x" * 257}
    with pytest.raises(SettingsRefused, match=r"routes\.\*\.labels\.Laptop: .*256"):
        parse_settings(settings)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(SettingsRefused, match="VISION_KEY"):
        build(parse_settings(document()), {"HUB": HUB}, MemoryStore())


@pytest.mark.parametrize(
    ("backend", "region", "named"),
    [
        ({}, {"endpoint": ""}, r"backend\.regions\.1\.endpoint: '' is no https"),
        ({}, {"key_env": "K"}, r"backend\.regions\.1\.key_env: the variable K is not set"),
        ({"kind": "face"}, {}, r"want: face does not offer objects"),
        (
            {},
            {"endpoint": "https://u:s3cr3t@x.example"},
            r"backend\.regions\.1\.endpoint: give the",
        ),
        ({}, {"endpoint": "https://x.example?code=s3cr3t"}, r"backend\.regions\.1\.endpoint: give"),
        ({}, {"endpoint": "https://x y"}, r"backend\.regions\.1\.endpoint: .* a blank"),
        ({"kind": "gpt"}, {}, r"backend\.kind: no gpt"),
        ({"kind": "docint", "model": "m"}, {"key_env": "K"}, r"backend\.regions\.1\.key_env: "),
    ],
)
def test_what_is_wrong_is_named_with_its_route_and_region(
    backend: dict[str, str], region: dict[str, str], named: str
) -> None:
    settings = document()
    route = document()["routes"]["*"]
    right = route["backend"]["regions"][0]
    route["backend"] |= backend | {"regions": [right, right | region]}
    settings["routes"]["b"] = route
    with pytest.raises(SettingsRefused, match=rf"^routes\.b\.{named}") as caught:
        build(parse_settings(settings), ENVIRONMENT, MemoryStore())
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("region", "named"),
    [
        ({"name": "West Europe"}, r"name: 'West Europe' is no region of AWS"),
        ({"name": "eu-west-1", "endpoint": "nonsense"}, r"endpoint: 'nonsense' is no https"),
        ({"name": "eu-west-1", "endpoint": "http://a.example"}, r"endpoint: .* is no https"),
    ],
)
def test_a_wrong_region_of_aws_is_a_wrong_setting(region: dict[str, str], named: str) -> None:
    settings = document(kind="rekognition", regions=[region])
    with pytest.raises(SettingsRefused, match=rf"^routes\.\*\.backend\.regions\.0\.{named}"):
        build(parse_settings(settings), ENVIRONMENT, MemoryStore())


def test_a_hub_whose_name_is_an_address_is_refused_in_a_string_too() -> None:
    string = HUB.replace("h.azure", "https://h.azure")
    with pytest.raises(SettingsRefused, match=r"^hub\.connection_string_env: .* HostName is no"):
        build(parse_settings(document()), ENVIRONMENT | {"HUB": string}, MemoryStore())


def test_custom_vision_without_a_project_is_refused() -> None:
    with pytest.raises(SettingsRefused, match="project_id"):
        build(parse_settings(document(kind="customvision")), ENVIRONMENT, MemoryStore())


def test_what_a_kind_cannot_do_without_is_named() -> None:
    for kind, changes, named in (
        ("embed", {"texts": {"ok": "one"}}, "texts"),
        ("face", {"person_group": "crew"}, "consent"),
        ("luxand", {"regions": [{"name": "w"}]}, "key_env"),
    ):
        settings = document(kind=kind, **changes)
        settings["routes"]["*"]["want"] = [WANTED[kind]]
        with pytest.raises(SettingsRefused, match=named):
            build(parse_settings(settings), ENVIRONMENT, MemoryStore())


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsRefused, match="No such file"):
        read_settings(tmp_path / "absent.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(SettingsRefused, match="no JSON"):
        read_settings(tmp_path / "bad.json")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(SettingsRefused, match="nested too deeply"):
        read_settings(tmp_path / "deep.json")
    with pytest.raises(SettingsRefused, match=r"store\.file"):
        file_store(str(tmp_path / "absent" / "ledger.db"))


def test_a_wrong_model_is_told_with_the_route_and_region_that_it_is_of() -> None:
    with serving(Reply(404, {"error": {"code": "NotFound", "message": "m"}})) as stub:
        settings = document(stub.endpoint, kind="contentunderstanding", model="absent")
        settings["routes"]["*"]["want"] = ["labels"]
        built = build(parse_settings(settings), ENVIRONMENT, MemoryStore())
        message = escalation("a", picture=jpeg(64, 64), ttl_s=10 * 365 * 86_400)
        message["image"] |= {"width": 64, "height": 64}
        place = r"^routes\.\*\.backend\.regions\.0, contentunderstanding in westeurope: HTTP 404: "
        with pytest.raises(BackendMisconfigured, match=place) as caught:
            built.core.handle(json.dumps(message).encode(), META)
    assert "check endpoint" in str(caught.value)


def test_what_is_metered_stays_so_at_its_place() -> None:
    settings = document(kind="embed", texts={"ok": "a", "bad": "b"})
    settings["routes"]["*"]["want"] = ["labels"]
    route = build(parse_settings(settings), ENVIRONMENT, MemoryStore()).core.routes["*"]
    assert isinstance(route.backend, Metered)
    assert calls_of(route.backend, route.want) == 3
    once = build(parse_settings(document()), ENVIRONMENT, MemoryStore()).core.routes["*"]
    assert not isinstance(once.backend, Metered)


def test_a_message_of_a_model_without_a_route_goes_the_general_way() -> None:
    with serving(Reply(400)) as stub:
        built = build(parse_settings(document(stub.endpoint)), ENVIRONMENT, MemoryStore())
        outcome = built.core.handle(body("a", ttl_s=10 * 365 * 86_400), META)
    assert outcome.reason == "picture_too_small"
