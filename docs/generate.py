"""Write everything that is made from the code: `make generate`.

Reference pages, JSON Schemas, the twin defaults in the deployment manifest, and the
templates under `deploy/` are kept in
git, so that they can be read and linked to without running anything; a test fails when one
of them no longer says what the code says.
"""

import json
import sys
from pathlib import Path
from typing import Final

from docs.generators.card import card_page
from docs.generators.dtdl import dtdl
from docs.generators.errors import errors_page
from docs.generators.formats import formats_page
from docs.generators.manifest import variants, with_desired
from docs.generators.messages import messages_page, schemas
from docs.generators.methods import methods_page
from docs.generators.metrics import metrics_page
from docs.generators.settings import settings_page

ROOT: Final = Path(__file__).parents[1]
_SCHEMAS: Final = "docs/reference/schemas"


def generated() -> dict[str, str]:
    """Path from the root to the text that belongs there."""
    manifest = "deployment.template.json"
    return {
        "docs/reference/card.md": card_page(),
        "docs/reference/errors.md": errors_page(),
        "docs/reference/formats.md": formats_page(),
        "docs/reference/messages.md": messages_page(),
        "docs/reference/methods.md": methods_page(),
        "docs/reference/dtdl.json": json.dumps(dtdl(), indent=2) + "\n",
        "docs/reference/metrics.md": metrics_page(),
        "docs/reference/settings.md": settings_page(),
        **{f"{_SCHEMAS}/{n}": json.dumps(s, indent=2) + "\n" for n, s in schemas().items()},
        manifest: with_desired(ROOT / manifest),
        **variants(ROOT / manifest),
    }


def stale() -> list[str]:
    """Paths that are missing, differ from what they should be, or are left over."""
    wanted = generated()
    old = [path for path, text in wanted.items() if _text(ROOT / path) != text]
    there = (path.relative_to(ROOT).as_posix() for path in (ROOT / _SCHEMAS).glob("*.json"))
    return old + [path for path in there if path not in wanted]


def main() -> int:
    """Write what is stale, and say what."""
    wanted = generated()
    for path in stale():
        target = ROOT / path
        if path in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(wanted[path], encoding="utf-8")
            sys.stdout.write(f"wrote {path}\n")
        else:
            target.unlink()
            sys.stdout.write(f"removed {path}\n")
    return 0


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
