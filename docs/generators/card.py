"""docs/reference/card.md: every field of a model's card."""

from docs.generators.fields import rows, schema_of
from docs.generators.markdown import field_table, page

from visionedge.inference.card import ModelCard

_INTRODUCTION = """
`model.json` beside `model.onnx` says how the model is read. All of it may be left open: what the
card does not say is read from the file, its exporter's metadata and conventions, and the defaults
here are the last resort. `visionedge inspect MODEL` shows each field and where it is from, and
`--write` makes a card of that. `--card FILE` of `predict` and `inspect` takes the same fields. What
is required here must be written only where nothing else tells it. Unknown fields are refused.
"""


def card_page() -> str:
    """The page."""
    root = schema_of(ModelCard)
    table = field_table(rows(root, root))
    return page("Model card", "modules/visionedge/inference/card.py", _INTRODUCTION, table)
