"""Both Dockerfiles of the module are one, and every image is as hard as the manifest asks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.deployment.dockerfile import (
    ARCHITECTURES,
    ROOT,
    VERIFIER,
    Instruction,
    environment,
    exec_form,
    final,
    read,
    stages,
)

from visionedge.deployment.placeholders import texts
from visionedge.runtime.http import HttpServer, Response
from visionedge.settings import DEFAULTS, from_environment, resolve

EVERY = (*ARCHITECTURES, VERIFIER)
OWN_TO_AN_ARCHITECTURE = {
    "amd64": ("BASE_IMAGE=python:", "x86_64", "linux/amd64"),
    "arm64v8": ("BASE_IMAGE=arm64v8/python:", "aarch64", "linux/arm64"),
}


def neutral(architecture: str) -> list[Instruction]:
    """The instructions without what the architecture alone decides."""
    own = OWN_TO_AN_ARCHITECTURE[architecture]
    found = []
    for instruction in read(architecture):
        text = instruction.text
        for word, stand_in in zip(own, ("BASE_IMAGE=", "WHEELS", "PLATFORM"), strict=True):
            text = text.replace(word, stand_in)
        found.append(Instruction(instruction.keyword, text))
    return found


def test_both_files_have_the_same_stages() -> None:
    assert neutral("amd64") == neutral("arm64v8")


@pytest.mark.parametrize("image", EVERY)
def test_the_last_stage_runs_nothing_so_that_it_builds_without_emulation(image: str) -> None:
    build, last = stages(read(image))
    assert "RUN" in {i.keyword for i in build}
    assert "RUN" not in {i.keyword for i in last}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_build_stage_runs_on_the_machine_that_builds(architecture: str) -> None:
    build, _ = stages(read(architecture))
    assert build[0].text.startswith("--platform=$BUILDPLATFORM ")


@pytest.mark.parametrize("image", EVERY)
def test_both_bases_can_be_pinned_by_the_releaser(image: str) -> None:
    first, second = read(image)[:2]
    assert [first.keyword, second.keyword] == ["ARG", "ARG"]
    assert first.text.startswith("BASE_IMAGE=")
    assert first.text.endswith("python:3.13-slim-trixie")
    assert second.text == "BUILD_IMAGE=python:3.13-slim-trixie"
    build, last = stages(read(image))
    assert build[0].text.endswith("${BUILD_IMAGE} AS build")
    assert last[0].text.endswith("${BASE_IMAGE}")


@pytest.mark.parametrize("image", EVERY)
def test_it_runs_as_a_number_that_is_not_root(image: str) -> None:
    assert final(image)["USER"] == ("65532:65532" if image == VERIFIER else "10001:10001")


@pytest.mark.parametrize("image", EVERY)
def test_the_program_gets_the_signals_itself(image: str) -> None:
    program = "verifier" if image == VERIFIER else "visionedge"
    assert exec_form(final(image)["ENTRYPOINT"]) == ["python", "-m", program]
    assert ("CMD" in final(image)) == (image == VERIFIER)
    assert final(image)["STOPSIGNAL"] == "SIGTERM"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_reports_home(architecture: str) -> None:
    assert environment(architecture)["ORT_DISABLE_TELEMETRY"] == "1"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_settings_of_the_image_are_settings_and_write_to_data_only(architecture: str) -> None:
    settings = resolve([from_environment(environment(architecture))])
    assert settings.http.host == "0.0.0.0"  # noqa: S104 - within the container's own network
    written = [path for path, text in texts(DEFAULTS) if text.startswith("run/")]
    assert {"spool.path", "egress.path", "uplink.local_path"} <= set(written)
    inside = dict(texts(settings.model_dump(mode="json")))
    for path in written:
        assert Path(inside[path]).parent == Path("/data"), path


@pytest.mark.parametrize("image", EVERY)
def test_every_requirement_is_pinned_by_hash(image: str) -> None:
    installs = [
        step
        for i in read(image)
        for step in i.text.split(" && ")
        if i.keyword == "RUN" and re.search(r"pip (install|wheel) ", step)
    ]
    assert len(installs) == (1 if image == VERIFIER else 6)
    for step in installs:
        local = "--no-index" in step or step.endswith(" .")
        assert local or "--require-hashes" in step, step


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_default_model_is_where_the_settings_look_for_it(architecture: str) -> None:
    build, last = stages(read(architecture))
    assert Instruction("COPY", "models /build/models") in build
    assert Instruction("COPY", "--from=build /build/models /app/models") in last
    assert final(architecture)["WORKDIR"] == "/app"
    assert resolve([]).models["default"].path.startswith("models/")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_what_is_copied_is_not_ignored(architecture: str) -> None:
    kept = set(re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    sources = {
        source
        for i in read(architecture)
        if i.keyword == "COPY" and not i.text.startswith("--from")
        for source in i.text.split()[:-1]
    }
    assert sources == kept


@pytest.mark.parametrize(("image", "port"), [("amd64", 9600), (VERIFIER, 9400)])
@pytest.mark.parametrize("status", [200, 503])
def test_the_health_check_asks_the_program_and_believes_it(
    image: str, port: int, status: int
) -> None:
    check = exec_form(final(image)["HEALTHCHECK"].partition("CMD ")[2])
    assert check[:2] == ["python", "-c"]
    server = HttpServer("127.0.0.1", 0, {"/healthz": lambda: Response(b"", status=status)})
    server.start()
    script = check[2].replace(f":{port}/", f":{server.port}/")
    assert script != check[2]
    assert final(image)["EXPOSE"] == str(port)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], env=dict(os.environ), capture_output=True, timeout=60
        )
    finally:
        server.stop(10)
    assert (done.returncode == 0) == (status == 200)


def test_the_verifiers_image_holds_every_part_of_the_module_that_it_imports() -> None:
    copied = " ".join(each.text for each in read(VERIFIER) if each.keyword == "COPY")
    module = ROOT / "modules/visionedge"
    sources = [*(ROOT / "cloud").rglob("*.py"), *(module / "datasets").glob("*.py")]
    sources.append(module / "wire.py")
    local = ROOT / "cloud/verifier/backends/local_model.py"
    pattern = re.compile(r"^(?:from|import) visionedge\.(\w+)", re.MULTILINE)
    parts = {
        part
        for source in sources
        if source != local
        for part in pattern.findall(source.read_text())
    }
    assert {"wire", "datasets", "refusals"} <= parts
    assert [part for part in sorted(parts) if f"modules/visionedge/{part}" not in copied] == []
