"""Which licences may be in the product, and what vague metadata means.

Permissive ones may; weak copyleft only where it is listed by name, because its terms reach
no further than the files of that package, which are unchanged and whose source is public.
Everything else fails the audit until somebody has read it.
"""

import re
from collections.abc import Iterable
from typing import Final

from deploy.supply.distributions import Installed

ALLOWED: Final = frozenset(
    {
        "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "HPND",
        "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0", "Python-2.0", "Unlicense", "Zlib",
    }
)  # fmt: skip
ALLOWED_BY_NAME: Final = {
    "certifi": frozenset({"MPL-2.0"}),
    "hypothesis": frozenset({"MPL-2.0"}),
    "paho-mqtt": frozenset({"EPL-2.0"}),
    "pathspec": frozenset({"MPL-2.0"}),
    "tqdm": frozenset({"MPL-2.0"}),
}
"""Weak copyleft, unchanged. `paho-mqtt` may be taken under the Eclipse Distribution Licence."""

_PLAIN: Final = {
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license v2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "3-clause bsd license": "BSD-3-Clause",
    "bsd 3-clause": "BSD-3-Clause",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd-3-clause license": "BSD-3-Clause",
    "freebsd": "BSD-2-Clause",
    "isc license": "ISC",
    "mit license": "MIT",
    "the mit license (mit)": "MIT",
    "mpl 2.0": "MPL-2.0",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "eclipse public license v2.0 / eclipse distribution license v1.0": "EPL-2.0 OR BSD-3-Clause",
}
_READ: Final = {
    # `BSD` or the whole text in the metadata; three clauses in the licence file.
    "isodate": "BSD-3-Clause",
    "pysocks": "BSD-3-Clause",
    "python-dateutil": "Apache-2.0 OR BSD-3-Clause",
}
"""By name, where the metadata is too vague; from the licence file itself."""


def spdx(package: Installed) -> str:
    """The licence as an SPDX expression, or the stated text where it cannot be told."""
    if package.name in _READ:
        return _READ[package.name]
    return _PLAIN.get(package.stated_licence.lower(), package.stated_licence)


def faults(packages: Iterable[Installed]) -> list[str]:
    """One line for each package whose licence is unknown or not allowed."""
    found = []
    for package in packages:
        expression = spdx(package)
        if not expression:
            found.append(f"{package.name} {package.version} states no licence")
        elif not _may_be_used(expression, package.name):
            found.append(f"{package.name} {package.version}: {expression} is not on the list")
    return found


def _may_be_used(expression: str, name: str) -> bool:
    """True if one alternative of `A AND (B OR C)` has allowed parts only."""
    allowed = ALLOWED | ALLOWED_BY_NAME.get(name, frozenset())
    text = expression
    # The innermost parentheses first, each replaced by whether it may be used.
    while inner := re.search(r"\(([^()]*)\)", text):
        verdict = "0BSD" if _flat(inner.group(1), allowed) else "NONE"
        text = text[: inner.start()] + verdict + text[inner.end() :]
    return _flat(text, allowed)


def _flat(expression: str, allowed: frozenset[str]) -> bool:
    alternatives = re.split(r"\s+OR\s+", expression.strip(), flags=re.IGNORECASE)
    return any(
        all(part in allowed for part in re.split(r"\s+AND\s+", each, flags=re.IGNORECASE))
        for each in alternatives
    )
