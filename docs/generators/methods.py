"""docs/reference/methods.md: every direct method, from the table that answers them."""

from docs.generators.fields import rows, schema_of
from docs.generators.markdown import field_table, page

from visionedge.methods import METHODS, Method

_INTRODUCTION = """
Direct methods of the module, by their names in IoT Hub. All may be called twice. The answer is
a status and a small JSON object: 200; 400 where the payload is refused, with each bad field in
`fields`; 404 for a method, camera or model that does not exist; 503 where the same call may work
later; 500 where the module failed on it, and its log says why; 504 where it did not answer in
time. An answer is below 128 KB. A payload may be left out where all of its
fields may be.
"""


def methods_page() -> str:
    """The page."""
    parts = [_method(name, method) for name, method in METHODS.items()]
    return page("Direct methods", "modules/visionedge/methods", _INTRODUCTION, *parts)


def _method(name: str, method: Method) -> str:
    root = schema_of(method.payload)
    found = list(rows(root, root))
    payload = field_table(found) if found else "No payload."
    return f"## `{name}`\n\n{method.meaning}\n\nAnswers {method.returns}.\n\n{payload}"
