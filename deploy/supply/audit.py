"""`make audit`: known vulnerabilities and licences of everything that is locked.

    python -m deploy.supply.audit --tool .venv-audit/bin/pip-audit

Ends with 1 when a package has a known vulnerability or a licence that is not on the list.
Where no advisory source can be reached, as in a factory network, it says that nothing is
known: silence would read as "none".

Licences are those of the packages installed where this runs, which is all of
`requirements/dev.txt`; the image's own are a part of it, and are listed in its SBOM.
"""

import argparse
import json
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.supply.distributions import installed
from deploy.supply.licences import faults

LOCKS: Final = tuple(f"requirements/{name}.txt" for name in ("edge", "cloud", "dev", "loop"))
_SERVICES: Final = ("pypi", "osv")
_TIMEOUT_S: Final = 300


@dataclass(frozen=True, slots=True)
class Advice:
    """What a service knows of one lock.

    Attributes:
        asked: packages that it had an answer for.
        unknown: packages that it had none for.
        found: `name version: advisory, mended in ...`.
    """

    asked: int
    unknown: tuple[str, ...]
    found: tuple[str, ...]


def ask(tool: Path, lock: Path, service: str) -> Advice | None:
    """Ask a service by pip-audit; None where it cannot be reached or knows no package at all."""
    words = [str(tool), "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    words += ["--format", "json", "--progress-spinner", "off", "--vulnerability-service", service]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S)
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        return None
    unknown = tuple(package["name"] for package in packages if "skip_reason" in package)
    return Advice(len(known), unknown, tuple(line for each in known for line in _lines(each)))


def audit_vulnerabilities(tool: Path, lock: Path) -> bool:
    """Print what is known of a lock; False if it has a known vulnerability."""
    for service in _SERVICES:
        advice = ask(tool, lock, service)
        if advice is None:
            continue
        count = f"{advice.asked} packages asked about at {service}, {len(advice.found)} advisories"
        _say(f"{lock}: {count}", *advice.found)
        if advice.unknown:
            _say(f"{lock}: no answer for {', '.join(advice.unknown)}")
        return not advice.found
    services = " or ".join(_SERVICES)
    _say(
        f"{lock}: no advisory source could be reached ({services}): "
        "nothing is known of vulnerabilities"
    )
    return True


def audit_licences(site: Path) -> bool:
    """Print which licences are not allowed; False if there is one."""
    packages = installed(site)
    found = faults(packages)
    _say(f"licences of {len(packages)} packages: {len(found)} not allowed", *found)
    return not found


def main(argv: list[str] | None = None) -> int:
    """Run both; returns the exit code."""
    parser = argparse.ArgumentParser(description="Known vulnerabilities and licences.")
    parser.add_argument("--tool", type=Path, required=True, help="the pip-audit to ask with")
    parser.add_argument("--lock", type=Path, action="append", help=f"default: {', '.join(LOCKS)}")
    parser.add_argument(
        "--site",
        type=Path,
        default=Path(sysconfig.get_path("purelib")),
        help="where the packages are; default: here",
    )
    args = parser.parse_args(argv)
    locks = args.lock or [Path(lock) for lock in LOCKS]
    good = [audit_licences(args.site), *(audit_vulnerabilities(args.tool, each) for each in locks)]
    return 0 if all(good) else 1


def _say(head: str, *details: str) -> None:
    sys.stdout.write("\n  ".join((head, *details)) + "\n")


def _lines(package: dict[str, Any]) -> list[str]:
    return [
        f"{package['name']} {package['version']}: {advisory['id']}, "
        f"mended in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for advisory in package.get("vulns", ())
    ]


if __name__ == "__main__":
    sys.exit(main())
