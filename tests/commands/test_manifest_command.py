"""`visionedge manifest` as it is typed."""

import argparse
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.deployment.dockerfile import ROOT
from tests.deployment.manifest import SCHEMAS

from visionedge.commands import manifest
from visionedge.errors import EXIT_OK, SettingsError

TEMPLATE = str(ROOT / "deployment.template.json")
LAYER = str(ROOT / "deploy/layers/metrics.template.json")
ENV = """\
CONTAINER_REGISTRY_ADDRESS=registry.example
CONTAINER_REGISTRY_USERNAME=puller
CONTAINER_REGISTRY_PASSWORD=hunter2
IOTHUB_RESOURCE_ID=/subscriptions/x
"""


@pytest.fixture
def env_file(tmp_path: Path) -> str:
    path = tmp_path / "factory.env"
    path.write_text(ENV)
    return str(path)


def run(*words: str, environment: dict[str, str] | None = None) -> int:
    parser = argparse.ArgumentParser()
    parser.set_defaults(environment=environment or {})
    manifest.add_parser(parser.add_subparsers())
    return manifest.run(parser.parse_args(["manifest", *words]))


def test_it_prints_a_manifest(env_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TEMPLATE, "--env-file", env_file, "--platform", "arm64v8") == EXIT_OK
    document = json.loads(capsys.readouterr().out)
    agent = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    image = agent["modules"]["visionedge"]["settings"]["image"]
    assert image.startswith("registry.example/visionedge:")
    assert image.endswith("-arm64v8")
    assert "$schema-template" not in document


def test_the_file_it_writes_is_its_owner_s_alone(env_file: str, tmp_path: Path) -> None:
    out = tmp_path / "deployment.json"
    out.write_text("old")
    out.chmod(0o644)
    assert run(TEMPLATE, "--env-file", env_file, "--out", str(out)) == EXIT_OK
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert "hunter2" in out.read_text()


def test_an_image_can_be_pinned_by_its_digest(
    env_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = "registry.example/visionedge@sha256:" + "0" * 64
    assert run(TEMPLATE, "--env-file", env_file, "--image", f"visionedge={digest}") == EXIT_OK
    assert digest in capsys.readouterr().out


def test_the_env_file_wins_over_the_environment(
    env_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    around = {"CONTAINER_REGISTRY_ADDRESS": "elsewhere"}
    assert run(TEMPLATE, "--env-file", env_file, environment=around) == EXIT_OK
    assert "elsewhere" not in capsys.readouterr().out


def test_a_missing_secret_is_named() -> None:
    with pytest.raises(SettingsError, match="no value for CONTAINER_REGISTRY_PASSWORD"):
        run(
            TEMPLATE,
            environment={
                "CONTAINER_REGISTRY_ADDRESS": "a",
                "CONTAINER_REGISTRY_USERNAME": "b",
            },
        )


def test_it_tells_what_changes_against_the_manifest_in_use(
    env_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "deployment.json")
    run(TEMPLATE, "--env-file", env_file, "--out", out)
    assert run(TEMPLATE, "--env-file", env_file, "--diff", out) == EXIT_OK
    assert capsys.readouterr().out == ""
    assert run(TEMPLATE, "--env-file", env_file, "--diff", out, "--platform", "arm64v8") == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert all("modules.visionedge.settings.image" in line for line in lines)


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no schemas in ../shared/schemas")
@pytest.mark.parametrize("template", [TEMPLATE, LAYER])
@pytest.mark.parametrize("option", ["--base", "--diff"])
def test_a_file_that_is_no_manifest_is_named_with_its_option(
    env_file: str, tmp_path: Path, template: str, option: str
) -> None:
    other = tmp_path / "settings.json"
    other.write_text('{"decision": {"accept": 0.9}}')
    said = f"{option}: {other} is no deployment manifest: it has no `modulesContent`"
    with pytest.raises(SettingsError, match=re.escape(said)):
        run(template, "--env-file", env_file, option, str(other))


def test_it_checks_a_template_and_a_layer_by_the_public_schemas(env_file: str) -> None:
    common = ("--env-file", env_file, "--check", str(SCHEMAS))
    assert run(TEMPLATE, *common) == EXIT_OK
    assert run(LAYER, *common, "--base", TEMPLATE) == EXIT_OK
    with pytest.raises(SettingsError, match="name its --base"):
        run(LAYER, *common)


@pytest.mark.skipif(not SCHEMAS.is_dir(), reason="no schemas in ../shared/schemas")
def test_a_wrong_one_is_refused_with_the_path_of_its_fault(env_file: str, tmp_path: Path) -> None:
    document = json.loads(Path(TEMPLATE).read_text())
    desired = document["modulesContent"]["$edgeAgent"]["properties.desired"]
    desired["modules"]["visionedge"]["status"] = "jogging"
    path = tmp_path / "wrong.template.json"
    path.write_text(json.dumps(document))
    image = ("--image", "visionedge=registry.example/visionedge:1")
    with pytest.raises(SettingsError, match=r"modules\.visionedge\.status: 'jogging'"):
        run(str(path), "--env-file", env_file, *image, "--check", str(SCHEMAS))


def test_an_image_that_names_nothing_is_refused(env_file: str) -> None:
    with pytest.raises(SettingsError, match="write MODULE=REFERENCE"):
        run(TEMPLATE, "--env-file", env_file, "--image", "visionedge")


def test_a_folder_that_is_not_there_is_told(env_file: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot write"):
        run(TEMPLATE, "--env-file", env_file, "--out", str(tmp_path / "no/deployment.json"))


def test_the_program_ends_with_2_and_one_readable_error(env_file: str) -> None:
    words = [sys.executable, "-m", "visionedge", "manifest", TEMPLATE]
    around = {k: v for k, v in os.environ.items() if not k.startswith("CONTAINER_REGISTRY")}
    done = subprocess.run(words, env=around, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("visionedge: no value for CONTAINER_REGISTRY_ADDRESS")
    assert "Traceback" not in done.stderr


def test_it_needs_neither_camera_nor_model_libraries() -> None:
    script = "import sys, visionedge.commands.manifest; print(sorted({'cv2', 'onnxruntime', 'jsonschema'} & set(sys.modules)))"  # noqa: E501 - one argument
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_a_check_without_jsonschema_says_what_to_install(
    env_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(SettingsError, match=r"visionedge\[tools\]"):
        run(TEMPLATE, "--env-file", env_file, "--check", str(tmp_path))


def test_a_folder_without_schemas_is_told(env_file: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="there is no schema"):
        run(TEMPLATE, "--env-file", env_file, "--check", str(tmp_path))


def test_an_image_for_a_module_that_the_template_does_not_take_is_refused(env_file: str) -> None:
    with pytest.raises(SettingsError, match="takes no image for `visionegde`"):
        run(TEMPLATE, "--env-file", env_file, "--image", "visionegde=registry.example/v:1")
