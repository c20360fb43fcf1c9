"""The bill of materials of an image, CycloneDX 1.6 as JSON, and its licence notices.

    python -m deploy.supply.sbom --site /opt/site --models models --out /build/doc
    python -m deploy.supply.sbom --site /opt/site --own verifier --project pyproject.toml ...

The second is for an application that was copied and not installed. It is written in the build
stage from what was installed there, so it can neither forget a package nor list one that is
not in the image. Shared objects that a wheel brings along are listed below it with their
digests: scanners do not find an OpenSSL that has another file name, and whoever answers for
the device must. The same inputs give the same file.

Not promised: the packages of the base image; its publisher describes those.

Source: CycloneDX 1.6 specification (ECMA-424); package-url specification, types `pypi` and
`generic`.
"""

import argparse
import hashlib
import json
import os
import sys
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from deploy.supply.distributions import Installed, installed, of_project
from deploy.supply.licences import spdx

_OURS: Final = ("visionedge", "verifier")
"""No registry has them: a package of the same name there is somebody else's."""
_NAMESPACE: Final = uuid.UUID("7c1b8a44-6a0b-5d8e-9f0e-3c2f4a1d9b77")
_LINE: Final = "=" * 78


def bill(
    packages: Iterable[Installed], site: Path, models: Path | None = None, own_name: str = _OURS[0]
) -> dict[str, Any]:
    """The document, with its serial number made from its own content.

    Args:
        packages: everything in the image.
        site: where they are.
        models: folder of bundles.
        own_name: of the package that the others are there for.
    """
    every = {package.name: package for package in packages}
    own = every.pop(own_name)
    components = [_component(package, site) for package in every.values()]
    if models is not None:
        components += [_model(path, models) for path in sorted(models.rglob("*.onnx"))]
    document: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": _timestamp(),
            "component": {**_component(own, site), "type": "application"},
        },
        "components": components,
        "dependencies": [
            {"ref": _purl(p), "dependsOn": [_purl(every[n]) for n in p.requires if n in every]}
            for p in (own, *every.values())
        ],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, content)}"}


def notices(packages: Iterable[Installed], site: Path) -> str:
    """The licence texts of all packages, each below its name, version and licence."""
    parts = []
    for package in packages:
        head = f"{package.name} {package.version}\nLicence: {spdx(package)}"
        texts = [
            (site / file).read_text(encoding="utf-8", errors="replace").strip()
            for file in package.licence_files
        ]
        # A wheel may bring the same text twice, beside its code and in its metadata.
        body = "\n\n".join(dict.fromkeys(texts)) or "The package brings no licence text."
        parts.append(f"{_LINE}\n{head}\n{_LINE}\n\n{body}\n")
    return "\n".join(parts)


def main(argv: list[str] | None = None) -> int:
    """Write `sbom.cdx.json` and `NOTICES.txt` into the folder `--out`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--site", type=Path, required=True, help="where the packages are")
    parser.add_argument("--models", type=Path, help="where the models are, if there are any")
    parser.add_argument("--own", default=_OURS[0], help="the package that all is there for")
    parser.add_argument("--project", type=Path, help="its pyproject.toml, where it was copied")
    parser.add_argument("--extra", default="edge", help="the extra of it that was installed")
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    args = parser.parse_args(argv)
    packages = installed(args.site, extras=(args.extra, "console"))
    if args.project:
        packages.insert(0, of_project(args.project, args.own, args.extra, args.site))
    args.out.mkdir(parents=True, exist_ok=True)
    document = bill(packages, args.site, args.models, args.own)
    (args.out / "sbom.cdx.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (args.out / "NOTICES.txt").write_text(notices(packages, args.site), "utf-8")
    return 0


def _component(package: Installed, site: Path) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": _purl(package),
        "name": package.name,
        "version": package.version,
        "description": package.summary,
        "purl": _purl(package),
        "licenses": [{"expression": spdx(package)}],
    }
    bundled = [_file(path, site) for path in package.native_files if _is_bundled(path)]
    return {**component, "components": bundled} if bundled else component


def _is_bundled(path: Path) -> bool:
    """A library that auditwheel put into a wheel: it lies in `<package>.libs`."""
    return path.parts[0].endswith(".libs")


def _file(path: Path, site: Path) -> dict[str, Any]:
    return {
        "type": "file",
        "bom-ref": f"file:{path}",
        "name": str(path),
        "hashes": [{"alg": "SHA-256", "content": _sha256(site / path)}],
    }


def _model(path: Path, models: Path) -> dict[str, Any]:
    name = path.relative_to(models).parts[0]
    return {
        "type": "machine-learning-model",
        "bom-ref": f"model:{path.relative_to(models)}",
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": _sha256(path)}],
    }


def _purl(package: Installed) -> str:
    kind = "generic" if package.name in _OURS else "pypi"
    return f"pkg:{kind}/{package.name}@{package.version}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _timestamp() -> str:
    """Of the sources, where the build says it (reproducible-builds.org, SOURCE_DATE_EPOCH)."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    when = datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    sys.exit(main())
