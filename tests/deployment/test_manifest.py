"""deployment.template.json: hardened, durable, and in agreement with image and code."""

import json
import re
import subprocess
from typing import Any

import pytest
from tests.deployment.dockerfile import ROOT, environment, exec_form
from tests.deployment.dockerfile import final as last_stage
from tests.deployment.manifest import MODULE, final, modules, own, routes, template

from visionedge.deployment.manifest import image_references
from visionedge.entities import Kind
from visionedge.settings import from_environment, resolve

HOST = own(template())["settings"]["createOptions"]["HostConfig"]
OPTIONS = own(template())["settings"]["createOptions"]
TWIN_STRING_BYTES = 4096
"""Most bytes of one string in a twin, and a manifest is the desired twin of edgeAgent."""


def seconds(text: str) -> int:
    """`30s` as nanoseconds, as the create options want it."""
    return int(text.removesuffix("s")) * 10**9


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("CapDrop", ["ALL"]),
        ("ReadonlyRootfs", True),
        ("SecurityOpt", ["no-new-privileges:true"]),
        ("Init", True),
    ],
)
def test_the_container_is_hardened(option: str, value: Any) -> None:  # noqa: ANN401 - JSON
    assert HOST[option] == value


@pytest.mark.parametrize(
    "option", ["Privileged", "CapAdd", "PortBindings", "NetworkMode", "PidMode"]
)
def test_the_container_asks_for_no_more_than_it_needs(option: str) -> None:
    assert option not in HOST


def test_memory_pids_and_processors_are_limited() -> None:
    assert 256 * 1024**2 <= HOST["Memory"] <= 1024**3
    assert HOST["MemorySwap"] == HOST["Memory"]
    assert 32 <= HOST["PidsLimit"] <= 512
    assert HOST["NanoCpus"] >= 10**9


def test_only_data_and_a_small_tmp_can_be_written() -> None:
    assert [bind.split(":")[1] for bind in HOST["Binds"]] == ["/data"]
    assert set(HOST["Tmpfs"]) == {"/tmp"}
    assert {"noexec", "nosuid", "nodev"} <= set(HOST["Tmpfs"]["/tmp"].split(","))


def test_no_port_is_open_to_the_outside_on_any_module() -> None:
    for module in modules(template()).values():
        assert "PortBindings" not in module["settings"]["createOptions"]["HostConfig"]


def test_no_log_can_fill_the_disk() -> None:
    for module in modules(template()).values():
        log = module["settings"]["createOptions"]["HostConfig"]["LogConfig"]
        assert {"max-size", "max-file"} <= set(log["Config"])


def test_the_user_and_the_health_check_are_those_of_the_image() -> None:
    image = last_stage("amd64")
    check = OPTIONS["Healthcheck"]
    flags = dict(re.findall(r"--([\w-]+)=(\S+)", image["HEALTHCHECK"]))
    assert OPTIONS["User"] == image["USER"]
    assert check["Test"] == ["CMD", *exec_form(image["HEALTHCHECK"].partition("CMD ")[2])]
    assert [check["Interval"], check["Timeout"], check["StartPeriod"], check["Retries"]] == [
        seconds(flags["interval"]),
        seconds(flags["timeout"]),
        seconds(flags["start-period"]),
        int(flags["retries"]),
    ]


def test_the_health_check_asks_the_port_that_the_module_listens_on() -> None:
    variables = {name: str(v["value"]) for name, v in own(template())["env"].items()}
    settings = resolve([from_environment({**environment("amd64"), **variables})])
    assert f":{settings.http.port}/healthz" in OPTIONS["Healthcheck"]["Test"][-1]
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - within the container's own network


def test_the_spool_survives_a_new_container() -> None:
    path = own(template())["env"]["VISIONEDGE__SPOOL__PATH"]["value"]
    host, inside = HOST["Binds"][0].split(":")
    assert path.startswith(f"{inside}/")
    assert host.startswith("/srv/")


@pytest.mark.parametrize("name", ["edgeAgent", "edgeHub"])
def test_what_the_runtime_has_stored_survives_a_new_container(name: str) -> None:
    module = modules(template())[name]
    folder = module["env"]["StorageFolder"]["value"]
    binds = module["settings"]["createOptions"]["HostConfig"]["Binds"]
    assert [bind.split(":")[1] for bind in binds] == [folder]
    assert module["settings"]["image"].startswith("mcr.microsoft.com/azureiotedge-")
    assert module["settings"]["image"].endswith(":1.6")


def test_there_is_time_to_drain_before_docker_kills() -> None:
    # `visionedge run` ends within its grace time, 8 s unless told otherwise.
    assert OPTIONS["StopTimeout"] >= 10


def test_the_module_starts_after_the_hub_and_is_started_again() -> None:
    system = modules(template())
    assert system["edgeHub"]["startupOrder"] < own(template())["startupOrder"]
    assert own(template())["restartPolicy"] == "always"


def test_every_output_of_the_module_has_a_route_and_no_route_leads_from_nowhere() -> None:
    sources = {r["route"]: name for name, r in routes().items()}
    # Predictions go to a module that this deployment does not have: see deploy/input.
    assert set(routes()) == {kind.value for kind in Kind} - {Kind.PREDICTIONS}
    for route, name in sources.items():
        assert route == f"FROM /messages/modules/{MODULE}/outputs/{name} INTO $upstream"


def test_pictures_go_first_and_are_given_up_first() -> None:
    escalation, health, telemetry = (routes()[k] for k in ("escalation", "health", "telemetry"))
    assert [r["priority"] for r in (escalation, health, telemetry)] == [1, 2, 5]
    assert escalation["timeToLiveSecs"] == 3600
    assert telemetry["timeToLiveSecs"] == 86_400


def test_the_create_options_fit_into_a_twin() -> None:
    for name, module in modules(final()).items():
        assert len(module["settings"]["createOptions"]) <= TWIN_STRING_BYTES, name


def test_secrets_come_from_outside() -> None:
    text = json.dumps(template())
    credentials = re.findall(r'"(?:password|username|address)": "([^"]*)"', text)
    assert credentials
    assert all(re.fullmatch(r"\$\{[A-Z_]+\}", value) for value in credentials)


def test_the_manifest_names_the_module_that_module_json_describes() -> None:
    module = json.loads((ROOT / "modules/visionedge/module.json").read_text(encoding="utf-8"))
    assert own(template())["settings"]["image"] == f"${{MODULES.{MODULE}}}"
    platforms = module["image"]["tag"]["platforms"]
    folder = ROOT / "modules/visionedge"
    for platform, path in platforms.items():
        assert (folder / path).resolve() == ROOT / f"Dockerfile.{platform}"
    assert (folder / module["image"]["contextPath"]).resolve() == ROOT


def test_all_versions_are_one() -> None:
    module = json.loads((ROOT / "modules/visionedge/module.json").read_text(encoding="utf-8"))
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert project is not None
    assert module["image"]["tag"]["version"] == project.group(1)
    assert own(template())["version"] == project.group(1)
    assert f"VERSION={project.group(1)}" in (ROOT / "Dockerfile.amd64").read_text()


def test_the_image_that_the_how_to_pushes_is_the_one_that_its_manifest_names() -> None:
    text = (ROOT / "docs/how-to/deploy.md").read_text(encoding="utf-8")
    pushed = re.search(r"-t \$REGISTRY/visionedge:(\S+) --push", text)
    version = re.search(r"^VERSION=.*$", text, re.MULTILINE)
    assert pushed is not None
    assert version is not None
    script = f'ARCH=arm64v8\n{version[0]}\nprintf %s "{pushed[1]}"'
    done = subprocess.run(
        ["/bin/sh", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    named = image_references(ROOT / "deployment.template.json", "arm64v8")[f"MODULES.{MODULE}"]
    assert named.endswith(f"/visionedge:{done.stdout}")
