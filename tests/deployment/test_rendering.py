"""From template and env file to the manifest that the hub takes, and what it would refuse."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from tests.deployment.dockerfile import ROOT
from tests.deployment.manifest import own, template

from visionedge.deployment.differences import differences
from visionedge.deployment.limits import MAX_TWIN_BYTES, faults
from visionedge.deployment.manifest import (
    CHUNK,
    NOTHING,
    image_references,
    is_layered,
    layered_onto,
    rendered,
    unpacked,
)
from visionedge.deployment.placeholders import filled, read_env_file, read_json
from visionedge.errors import SettingsError

VALUES = {
    "CONTAINER_REGISTRY_ADDRESS": "registry.example",
    "CONTAINER_REGISTRY_USERNAME": "puller",
    "CONTAINER_REGISTRY_PASSWORD": "pa$$ ${word}",
}
IMAGES = {"MODULES.visionedge": "${CONTAINER_REGISTRY_ADDRESS}/visionedge:1-amd64"}
AGENT = "modulesContent.$edgeAgent.properties.desired"


def final() -> dict[str, Any]:
    return rendered(template(), VALUES, IMAGES)


def twin(**desired: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """The final manifest with other desired properties of our module."""
    document = final()
    document["modulesContent"]["visionedge"]["properties.desired"] = desired
    return document


def test_names_are_filled_in_and_values_are_never_read_as_names() -> None:
    agent = final()["modulesContent"]["$edgeAgent"]["properties.desired"]
    credentials = agent["runtime"]["settings"]["registryCredentials"]["factory"]
    assert credentials["password"] == "pa$$ ${word}"
    assert (
        agent["modules"]["visionedge"]["settings"]["image"] == "registry.example/visionedge:1-amd64"
    )


def test_every_missing_secret_is_named_with_its_place() -> None:
    with pytest.raises(SettingsError) as caught:
        rendered(template(), {"CONTAINER_REGISTRY_PASSWORD": ""}, IMAGES)
    assert set(caught.value.fields.values()) == set(VALUES)
    credentials = f"{AGENT}.runtime.settings.registryCredentials.factory"
    assert caught.value.fields[f"{credentials}.password"] == "CONTAINER_REGISTRY_PASSWORD"
    assert "CONTAINER_REGISTRY_PASSWORD" in str(caught.value)


def test_every_missing_name_of_one_text_is_told() -> None:
    with pytest.raises(SettingsError, match="no value for HOST, PATH: ") as caught:
        filled({"url": "rtsp://${HOST}/${PATH}"}, {})
    assert caught.value.fields == {"url": "HOST, PATH"}


def test_references_to_secrets_of_the_device_are_left_to_the_device() -> None:
    url = "rtsp://${env:USER}:${file:/run/secrets/PASSWORD}@${HOST}/live"
    document = filled({"url": [url]}, {"HOST": "10.0.0.5"})
    assert document["url"] == [url.replace("${HOST}", "10.0.0.5")]


def test_create_options_become_text_in_pieces_and_come_back_whole() -> None:
    settings = own(final())["settings"]
    parts = [settings[key] for key in sorted(settings) if key.startswith("createOptions")]
    assert [key for key in settings if key != "image"][:2] == ["createOptions", "createOptions01"]
    assert len(parts) >= 2
    assert all(len(part) == CHUNK for part in parts[:-1])
    assert len(parts[-1]) <= CHUNK
    options = own(template())["settings"]["createOptions"]
    assert json.loads("".join(parts)) == options
    assert own(unpacked(final()))["settings"]["createOptions"] == options


def test_create_options_beyond_all_pieces_are_refused_by_name() -> None:
    document = template()
    own(document)["settings"]["createOptions"]["Cmd"] = ["x" * 60_000]
    with pytest.raises(SettingsError, match="create options of visionedge"):
        rendered(document, VALUES, IMAGES)


def test_the_image_is_the_one_that_module_json_names_for_the_platform() -> None:
    version = json.loads((ROOT / "modules/visionedge/module.json").read_text())["image"]["tag"]
    expected = f"${{CONTAINER_REGISTRY_ADDRESS}}/visionedge:{version['version']}-arm64v8"
    for path in ("deployment.template.json", "deploy/layers/visionedge.template.json"):
        assert image_references(ROOT / path, "arm64v8")["MODULES.visionedge"] == expected


def test_our_manifest_has_no_fault() -> None:
    assert faults(final()) == []


@pytest.mark.parametrize(
    ("desired", "place", "reason"),
    [
        ({"decision": {"accept": 1.5}}, "decision.accept", "less than or equal to 1"),
        ({"nonsense": 1}, "nonsense", "no such field"),
        ({"cameras": {"a b": {"kind": "pattern"}}}, "cameras.a b", "no space"),
        ({"log": {"level": "x" * 5000}}, "log.level", "4096"),
    ],
)
def test_a_twin_that_would_be_refused_is_told_by_its_field(
    desired: dict[str, Any], place: str, reason: str
) -> None:
    found = faults(twin(**desired))
    path = f"modulesContent.visionedge.properties.desired.{place}"
    assert any(fault.startswith(f"{path}: ") and reason in fault for fault in found), found


def deployed(variables: dict[str, Any]) -> dict[str, Any]:
    """The final manifest with further variables of our module."""
    document = final()
    own(document)["env"] |= {name: {"value": value} for name, value in variables.items()}
    return document


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("VISIONEDGE__DECISION__ACCEPT", "7", "decision.accept: "),
        ("VISIONEDGE__DECISION__ACCEPT", 7, "decision.accept: "),
        ("VISIONEDGE__DECISON__ACCEPT", "0.5", "decison: there is no such field"),
        ("VISIONEDGE__CAMERAS", '{"a b": {"kind": "nope"}}', "cameras.a b: "),
        ("VISIONEDGE__CAMERAS__X__MODEL", "none", "cameras.x"),
        ("VISIONEDGE____ACCEPT", "1", "names no setting"),
    ],
)
def test_a_variable_that_would_end_the_module_is_told_by_its_name(
    name: str,
    value: str | int,
    reason: str,
) -> None:
    found = faults(deployed({name: value}))
    assert [each for each in found if each.startswith(f"{AGENT}.modules.visionedge.env.{name}: ")]
    assert reason in found[0]
    assert len(found) == 1


def test_variables_of_the_create_options_are_read_too() -> None:
    document = template()
    own(document)["settings"]["createOptions"]["Env"] = ["VISIONEDGE__DECISION__ACCEPT=7"]
    [fault] = faults(rendered(document, VALUES, IMAGES))
    assert "VISIONEDGE__DECISION__ACCEPT: decision.accept" in fault
    # edgeAgent lays `env` over them.
    own(document)["env"]["VISIONEDGE__DECISION__ACCEPT"] = {"value": "0.7"}
    assert faults(rendered(document, VALUES, IMAGES)) == []


def test_variables_and_twin_are_read_together_and_secrets_are_left_to_the_device() -> None:
    document = deployed(
        {
            "VISIONEDGE__MODELS__OTHER": '{"path": "models/other"}',
            "VISIONEDGE__CAMERAS__GATE": '{"kind": "stream", "url": "rtsp://${env:OF_DEVICE}@a/b"}',
            "OTHERS__DECISION__ACCEPT": "7",
        }
    )
    desired = document["modulesContent"]["visionedge"]["properties.desired"]
    desired["cameras"]["line-1"]["model"] = "other"
    assert faults(document) == []
    desired["decision"] = {"accept": 7}
    [fault] = faults(document)
    assert fault.startswith("modulesContent.visionedge.properties.desired.decision.accept: ")


def test_a_twin_over_32_kb_is_told_with_its_size() -> None:
    masks = [[[0.123456, 0.2], [0.3, 0.4], [0.5, 0.6]] for _ in range(32)]
    cameras = {f"line-{n}": {"kind": "pattern", "masks": masks} for n in range(32)}
    found = faults(twin(cameras=cameras))
    [fault] = [each for each in found if str(MAX_TWIN_BYTES) in each]
    assert fault.startswith("modulesContent.visionedge.properties.desired: ")
    size = int(fault.split(": ")[1].split(" bytes")[0])
    assert size > MAX_TWIN_BYTES


def test_a_twin_of_exactly_32_kb_fits() -> None:
    empty = len(json.dumps({"a": ["", ""]}, separators=(",", ":")))
    # Texts of at most 4 KB each, so nine of them.
    rest = MAX_TWIN_BYTES - empty - 3 * 7
    texts = ["x" * (rest // 9)] * 8
    texts += ["x" * (rest - sum(map(len, texts)))]
    document = final()
    document["modulesContent"]["other"] = {"properties.desired": {"a": texts}}
    assert len(json.dumps({"a": texts}, separators=(",", ":"))) == MAX_TWIN_BYTES
    assert faults(document) == []
    texts[0] += "x"
    [fault] = faults(document)
    assert f"{MAX_TWIN_BYTES + 1} bytes" in fault


def test_a_route_from_a_module_that_is_not_there_is_told() -> None:
    document = final()
    routes = document["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    routes["health"]["route"] = "FROM /messages/modules/visonedge/outputs/health INTO $upstream"
    [fault] = faults(document)
    assert "routes.health: there is no module `visonedge`" in fault


def test_a_manifest_without_contents_is_told() -> None:
    assert faults({}) == ["modulesContent: it is missing"]
    with pytest.raises(SettingsError, match="modulesContent"):
        is_layered({})


def test_a_layer_replaces_what_it_names_and_leaves_the_rest() -> None:
    base = final()
    layer = {
        "modulesContent": {
            "$edgeAgent": {"properties.desired.modules.extra": {"type": "docker"}},
            "$edgeHub": {"properties.desired.routes.health": "FROM /* INTO $upstream"},
            "visionedge": {"properties.desired.log": {"level": "DEBUG"}},
        }
    }
    before = copy.deepcopy(base)
    whole = layered_onto(base, layer)
    assert base == before
    assert is_layered(layer)
    assert not is_layered(whole)
    contents = whole["modulesContent"]
    assert set(contents["$edgeAgent"]["properties.desired"]["modules"]) == {"visionedge", "extra"}
    routes = contents["$edgeHub"]["properties.desired"]["routes"]
    assert routes["health"] == "FROM /* INTO $upstream"
    assert "escalation" in routes
    desired = contents["visionedge"]["properties.desired"]
    assert desired["log"] == {"level": "DEBUG"}
    assert (
        desired["decision"]
        == template()["modulesContent"]["visionedge"]["properties.desired"]["decision"]
    )


def test_a_layer_alone_can_be_looked_at() -> None:
    whole = layered_onto(NOTHING, read_json(ROOT / "deploy/layers/visionedge.template.json"))
    assert faults(whole) == []
    assert NOTHING["modulesContent"]["$edgeAgent"] == {"properties.desired": {"modules": {}}}


def test_the_same_manifest_has_no_differences_however_it_is_packed() -> None:
    loose = final()
    settings = own(loose)["settings"]
    for key in [key for key in settings if key.startswith("createOptions")]:
        del settings[key]
    options = own(template())["settings"]["createOptions"]
    settings["createOptions"] = json.dumps(dict(reversed(options.items())))
    assert differences(final(), loose) == []


def test_differences_are_told_by_path_and_secrets_are_not_told() -> None:
    values = {**VALUES, "CONTAINER_REGISTRY_PASSWORD": "another"}
    changed = rendered(template(), values, IMAGES)
    own(changed)["env"]["CAMERA_PASSWORD"] = {"value": "hunter2"}
    own(changed)["status"] = "stopped"
    lines = differences(final(), changed)
    assert f'- {AGENT}.modules.visionedge.status: "running"' in lines
    assert f'+ {AGENT}.modules.visionedge.status: "stopped"' in lines
    assert any("factory.password: (hidden)" in line for line in lines)
    text = "\n".join(lines)
    assert "CAMERA_PASSWORD" in text
    for secret in ("another", "hunter2", "word}"):
        assert secret not in text


def test_an_env_file_is_read_as_docker_reads_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("# a comment\n\nA=1\nexport B = two words \nC=\"x=y\"\nD='#'\nE=\n")
    assert read_env_file(path) == {"A": "1", "B": "two words", "C": "x=y", "D": "#", "E": ""}


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xef\xbb\xbfA=1\n")
    assert read_env_file(path) == {"A": "1"}
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path) == {"a": 1}


@pytest.mark.parametrize("line", ["A=1 # ours", 'A="1" # ours', "A=1\t#ours", "A= # ours"])
def test_a_comment_behind_a_value_is_refused_and_not_made_part_of_it(
    tmp_path: Path, line: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(f"Z=1#2\nY='1 # 2'\n{line}\n")
    with pytest.raises(SettingsError, match=r"\.env:3 has a `#` behind its value") as caught:
        read_env_file(path)
    assert "ours" not in str(caught.value)


def test_an_image_that_is_none_is_told_by_its_module() -> None:
    around = {**VALUES, "CONTAINER_REGISTRY_ADDRESS": "https://My.azurecr.io/"}
    [fault] = faults(rendered(template(), around, IMAGES))
    assert fault.startswith(f"{AGENT}.modules.visionedge.settings.image: `https://My.azurecr.io//")
    document = final()
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    agent["systemModules"]["edgeHub"]["settings"]["image"] = "UPPER case:bad tag"
    [fault] = faults(document)
    assert fault.startswith(f"{AGENT}.systemModules.edgeHub.settings.image: ")


def test_a_bad_line_of_an_env_file_is_told_by_number_and_not_by_text(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("A=1\nsecret without a name\n")
    with pytest.raises(SettingsError, match=r"\.env:2 is not NAME=VALUE") as caught:
        read_env_file(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{", "is not JSON"), (b"[]", "no JSON object"), (b"\xff\xfe", "not UTF-8")],
)
def test_a_file_that_is_no_manifest_is_told(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=reason):
        read_json(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_json(tmp_path / "x.json")


def test_secrets_of_create_options_are_not_told_however_they_are_written() -> None:
    before = {"createOptions": {"Env": ["A=1", "PASSWORD=hunter 1"], "Cmd": ["-v"]}}
    after = {
        "createOptions": {
            "Env": ["A=2", "PASSWORD=hunter 2"],
            "Cmd": ["-v", "--password", "hunter3", "--port", "80"],
        }
    }
    lines = differences(before, after)
    assert "hunter" not in "".join(lines)
    assert '+ createOptions.Env[0]: "A=2"' in lines
    assert "+ createOptions.Cmd[2]: (hidden)" in lines
    assert '+ createOptions.Cmd[4]: "80"' in lines


def told_of(twin: dict[str, object]) -> list[str]:
    agent: dict[str, object] = {"modules": {"m": {"settings": {}}}}
    contents = {"$edgeAgent": agent, "$edgeHub": {"routes": {}}, "m": twin}
    desired = {name: {"properties.desired": each} for name, each in contents.items()}
    return faults({"modulesContent": desired})


def test_ten_levels_with_a_value_in_the_last_are_taken() -> None:
    twin: dict[str, object] = {"value": 1}
    for level in range(10):
        twin = {f"level{level}": twin}
    assert told_of(twin) == []
    assert told_of({"one_more": twin}) != []


@pytest.mark.parametrize("value", [2**52, -(2**52) - 1])
def test_what_a_twin_does_not_hold_is_told(value: object) -> None:
    assert told_of({"a": value}) != []
