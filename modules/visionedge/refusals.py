"""What a schema refused, in the words of whoever wrote the document.

pydantic speaks to programmers: "Extra inputs are not permitted", "Input tag 'rtps' found using
'kind'". Whoever mends a card or a twin at night knows neither inputs nor tags, and most wrong
names are slips of the finger. So each refusal says what is wrong with which field, and an
unknown name comes with the nearest one that there is.

What this does not promise: a name that was meant. It is the nearest by its letters.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, get_args

_BEGINNINGS: Final = (
    (re.compile(r"^Input should be "), "must be "),
    (re.compile(r"^(?:Value|Assertion) error, "), ""),
    (re.compile(r"^Field required$"), "is missing"),
    (re.compile(r"^(\w+) should "), r"\1 must "),
)


def reason(item: Mapping[str, Any], root: Any) -> str:  # noqa: ANN401 - a model, which is not ours
    """Why one field was refused.

    Args:
        item: one of `ValidationError.errors()`.
        root: the model class that the document was given to.
    """
    kind, context = item["type"], item.get("ctx", {})
    tag_field = str(context.get("discriminator", "")).strip("'")
    if kind == "extra_forbidden":
        return f"there is no such field{_nearest(str(item['loc'][-1]), _names(root, item['loc']))}"
    if kind == "union_tag_invalid":
        tag, known = str(context["tag"])[:40], str(context["expected_tags"]).replace("'", "")
        return f"{tag_field} `{tag}` must be one of {known}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "must be an object, with its fields in braces"
    if kind == "recursion_depth_exceeded":
        return "is nested too deeply"
    if kind == "union_tag_not_found":
        return f"{tag_field} is missing"
    text = str(item["msg"])
    for pattern, plain in _BEGINNINGS:
        text = pattern.sub(plain, text)
    return text


def _nearest(name: str, known: Sequence[str]) -> str:
    # Imported here, because only who mistyped waits for it.
    from difflib import get_close_matches

    found = get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; is it `{found[0]}`?" if found else ""


def _names(root: Any, path: Sequence[int | str]) -> list[str]:  # noqa: ANN401 - as above
    """The fields of the model at the end of a path; keys of maps and tags are stepped over."""
    models = [root]
    for part in path[:-1]:
        steps = [each.model_fields[part] for each in models if part in each.model_fields]
        models = [inner for step in steps for inner in _models(step.annotation)] or models
    return sorted(
        {field.alias or name for each in models for name, field in each.model_fields.items()}
    )


def _models(annotation: Any) -> Iterator[Any]:  # noqa: ANN401 - a type of any kind
    if hasattr(annotation, "model_fields"):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
