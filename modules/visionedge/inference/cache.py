"""A folder for what is found out once a model: unpacked exports, and proofs that it loads.

The module keeps it beside its spool, where it lasts from one container to the next. A
command has no such place and uses one among the temporary files, which others may write
to: so it must be ours, and nobody else's to write, or it is not used.
"""

import os
import stat
import tempfile
from pathlib import Path

from visionedge.errors import ModelLoadError


def private_folder() -> Path:
    """The cache of this user among the temporary files.

    Raises:
        ModelLoadError: somebody else has taken its name.
    """
    path = Path(f"visionedge-{os.getuid()}")
    try:
        # It looks for one that can be written, and there may be none.
        path = Path(tempfile.gettempdir()) / path
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise ModelLoadError(
            f"cannot make {path}: {error.strerror}", hint="set TMPDIR to a folder of yours"
        ) from None
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    if not is_ours or found.st_mode & 0o022:
        raise ModelLoadError(
            f"{path} is not ours alone", hint="remove it, or set TMPDIR to a folder of yours"
        )
    return path
