"""Names that libraries can be told: a file of another system's disk may have one that is no UTF-8.

Python keeps such bytes as half surrogates. OpenCV crashes on them, and ONNX Runtime says that
something else is wrong.
"""

from pathlib import Path


def is_text(path: Path) -> bool:
    """False for a name that is no UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
