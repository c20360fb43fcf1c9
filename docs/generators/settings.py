"""docs/reference/settings.md: every field that a file, the environment or a twin can set."""

from collections.abc import Iterator

from docs.generators.fields import Schema, entries, resolve, rows, schema_of
from docs.generators.markdown import field_table, page

from visionedge.settings import ENV_PREFIX, Settings

_INTRODUCTION = f"""
Later sources win, field by field: defaults, then the file of `--config`, then environment
variables such as `{ENV_PREFIX}DECISION__ACCEPT=0.6`, then the desired properties of the
module twin. A null removes what an earlier source said. Unknown fields are refused.

Names in maps (`<name>`) are letters, digits, `_` and `-`, at most 64: a twin takes no
spaces or dots in them.
"""


def settings_page() -> str:
    """The page."""
    root = schema_of(Settings)
    sections = [_section(name, field, root) for name, field in root["properties"].items()]
    return page("Settings", "modules/visionedge/settings", _INTRODUCTION, *sections)


def _section(name: str, raw: Schema, root: Schema) -> str:
    field = resolve(raw, root)
    head = f"## {field['title']}: `{name}`\n\n{field['description']}"
    entry = resolve(entries(field), root)
    if "oneOf" in entry:
        return "\n\n".join([head, *_kinds(f"{name}.<name>.", entry, root)])
    found = [row for row in rows({"properties": {name: raw}}, root) if row.path != name]
    return f"{head}\n\n{field_table(found)}"


def _kinds(prefix: str, union: Schema, root: Schema) -> Iterator[str]:
    tag = union["discriminator"]["propertyName"]
    for kind, reference in union["discriminator"]["mapping"].items():
        found = resolve({"$ref": reference}, root)
        head = f"### `{tag}`: `{kind}`\n\n{found['description']}"
        yield f"{head}\n\n{field_table(rows(found, root, prefix))}"
