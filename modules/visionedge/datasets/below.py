"""All that lies below a folder, or an error: `rglob` passes over what it may not enter."""

import os
from collections.abc import Iterator
from pathlib import Path


def below(folder: Path) -> Iterator[Path]:
    """All files and folders, in no order.

    Raises:
        OSError: one of the folders may not be entered.
    """

    def refuse(error: OSError) -> None:
        raise error

    for inside, folders, files in os.walk(folder, onerror=refuse):
        yield from (Path(inside, name) for name in (*folders, *files))
