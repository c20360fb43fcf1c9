"""A Dockerfile as its instructions, joined lines as one, comments left out."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ARCHITECTURES = ("amd64", "arm64v8")
VERIFIER = "verifier"
_FILES = {
    **{architecture: f"Dockerfile.{architecture}" for architecture in ARCHITECTURES},
    VERIFIER: "cloud/Dockerfile",
}


@dataclass(frozen=True, slots=True)
class Instruction:
    """`keyword` in capitals, and what follows it."""

    keyword: str
    text: str


def read(image: str) -> list[Instruction]:
    """All instructions of an image's Dockerfile, in order.

    Args:
        image: one of `ARCHITECTURES`, or `VERIFIER`.
    """
    text = (ROOT / _FILES[image]).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        keyword, _, rest = line.partition(" ")
        found.append(Instruction(keyword.upper(), rest.strip()))
    return found


def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    """The instructions of each stage, beginning with its FROM."""
    split: list[list[Instruction]] = []
    for instruction in instructions:
        if instruction.keyword == "FROM":
            split.append([])
        if split:
            split[-1].append(instruction)
    return split


def final(image: str) -> dict[str, str]:
    """Keyword to text in the last stage; COPY, ARG and others that repeat keep the last one."""
    return {i.keyword: i.text for i in stages(read(image))[-1]}


def environment(image: str) -> dict[str, str]:
    """The variables that the image sets."""
    return dict(pair.split("=", 1) for pair in final(image)["ENV"].split())


def exec_form(text: str) -> list[str]:
    """The words of a command in exec form; the shell form is no JSON and raises."""
    words = json.loads(text)
    assert isinstance(words, list)
    return [str(word) for word in words]
