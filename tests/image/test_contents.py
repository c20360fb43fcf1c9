"""What is in the images, and what is not."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from tests.image.podman import AMD64, ARM64, VERIFIER, inspect_image, podman

pytestmark = [pytest.mark.image, pytest.mark.timeout(300)]
MB = 10**6
SITE_MB = {AMD64: 300, ARM64: 220, VERIFIER: 70}
WHOLE_MB = {AMD64: 450, ARM64: 340, VERIFIER: 220}
OWN = {AMD64: "visionedge", ARM64: "visionedge", VERIFIER: "verifier"}
USER = {AMD64: "10001:10001", ARM64: "10001:10001", VERIFIER: "65532:65532"}
EVERY = pytest.mark.parametrize("image", [AMD64, ARM64, VERIFIER])
BOTH = pytest.mark.parametrize("image", [AMD64, ARM64])
UNWANTED = re.compile(
    r"/(pip|setuptools|wheel|pytest|pkg_resources)(-[\w.]+\.(dist|egg)-info)?$"
    r"|bin/(pip[\d.]*|[\w-]*(gcc|g\+\+|clang)(-[\d.]+)?|cc|ld|as|make|cargo)$"
)
DEVELOPERS_OWN = ("/tests", "/test", ".pyi", ".pyx", ".a", ".h", ".c")

RIGHTS = """
import json, os
with open("/proc/self/status") as file:
    status = dict(line.split(":\\t", 1) for line in file.read().splitlines())
writable = []
for folder in ("/", "/app", "/opt/site", "/data", "/tmp"):
    try:
        open(folder + "/x", "w").close()
    except OSError:
        continue
    writable.append(folder)
print(json.dumps([os.getuid(), os.getgid(), status["CapEff"], status["NoNewPrivs"], writable]))
"""


@pytest.fixture(scope="module")
def folders() -> dict[str, Path]:
    """Each image's files, as they lie on this disk; nothing of them is run."""
    return {image: Path(podman("image", "mount", image).stdout.strip()) for image in OWN}


def size_mb(folder: Path) -> float:
    done = subprocess.run(
        ["du", "--summarize", "--bytes", str(folder)], capture_output=True, text=True, check=True
    )
    return int(done.stdout.split()[0]) / MB


@EVERY
def test_the_dependencies_are_small(image: str, folders: dict[str, Path]) -> None:
    assert 30 < size_mb(folders[image] / "opt/site") <= SITE_MB[image]


@EVERY
def test_the_whole_is_small(image: str, folders: dict[str, Path]) -> None:
    assert 100 < size_mb(folders[image]) <= WHOLE_MB[image]


@EVERY
def test_no_installer_compiler_or_test_is_inside(image: str, folders: dict[str, Path]) -> None:
    """Of the stand-in base too; an official Python image brings a pip of its own."""
    names = [f"/{path.relative_to(folders[image])}" for path in folders[image].rglob("*")]
    assert len(names) > 1000
    assert [name for name in names if UNWANTED.search(name)] == []


@EVERY
def test_nothing_that_only_a_developer_needs_is_in_what_we_add(
    image: str, folders: dict[str, Path]
) -> None:
    names = [f"/{path.name}" for path in (folders[image] / "opt").rglob("*")]
    assert len(names) > 1000
    assert [name for name in names if name.endswith(DEVELOPERS_OWN)] == []


@EVERY
def test_what_runs_is_of_the_image_s_architecture(image: str, folders: dict[str, Path]) -> None:
    machine = b"\xb7\x00" if image == ARM64 else b"\x3e\x00"
    libraries = list((folders[image] / "opt/site").rglob("*.so*"))
    assert len(libraries) > 2
    for library in libraries:
        head = library.read_bytes()[:20]
        assert head[:4] == b"\x7fELF", library
        assert head[18:20] == machine, library


@EVERY
def test_it_says_what_it_is_and_runs_as_a_number(image: str) -> None:
    described = inspect_image(image)
    config = described["Config"]
    assert described["Architecture"] == ("arm64" if image == ARM64 else "amd64")
    assert config["User"] == USER[image]
    assert config["Entrypoint"] == ["python", "-m", OWN[image]]
    assert ("ORT_DISABLE_TELEMETRY=1" in config["Env"]) == (image != VERIFIER)
    assert "/healthz" in described["Healthcheck"]["Test"][-1]
    labels = config["Labels"]
    for name in ("title", "version", "revision", "licenses", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"]


@BOTH
def test_the_folder_of_the_state_belongs_to_the_module_and_the_code_does_not(
    image: str, folders: dict[str, Path]
) -> None:
    assert (folders[image] / "data").stat().st_uid == 10001
    for path in ("opt/site/visionedge/__main__.py", "app/models/pcb-defects/model.onnx"):
        status = (folders[image] / path).stat()
        assert status.st_uid == 0
        assert not status.st_mode & 0o022


def test_the_process_has_no_right_that_it_does_not_need(flags: list[str]) -> None:
    done = podman("run", "--rm", "--pull=never", *flags, "--entrypoint=python", AMD64, "-c", RIGHTS)
    uid, gid, capabilities, no_new, writable = json.loads(done.stdout)
    assert (uid, gid) == (10001, 10001)
    assert int(capabilities, 16) == 0
    assert no_new == "1"
    assert writable == ["/data", "/tmp"]


@EVERY
def test_it_lists_what_is_in_it_with_every_licence(image: str, folders: dict[str, Path]) -> None:
    described = folders[image] / "usr/share/doc" / OWN[image]
    bill = json.loads((described / "sbom.cdx.json").read_text(encoding="utf-8"))
    listed = {c["name"]: c["version"] for c in bill["components"] if c["type"] == "library"}
    there = {
        match.group(1).replace("_", "-").lower(): match.group(2)
        for path in (folders[image] / "opt/site").glob("*.dist-info")
        if (match := re.fullmatch(r"(.+)-([^-]+)\.dist-info", path.name))
    }
    own = bill["metadata"]["component"]
    assert own["name"] == OWN[image]
    if image == VERIFIER:
        # It is copied, not installed.
        there |= {own["name"]: own["version"]}
    assert {**listed, own["name"]: own["version"]} == there
    bundled = [f["name"] for c in bill["components"] for f in c.get("components", [])]
    assert any("libcrypto" in name for name in bundled) == (image != VERIFIER)
    notices = (described / "NOTICES.txt").read_text(encoding="utf-8")
    for name, version in there.items():
        assert f"\n{name} {version}\nLicence: " in notices
