"""Show a model a few pictures: what its answers tell about how it wants to be fed.

A network fed a hundredth of the range that it was trained on sees grey everywhere and
says the same to every picture. So the pixel range of a model without metadata can be
tested: over pictures that differ, `spread` is how much its answers differ, in nats (the
mutual information of picture and class; Salimans et al. 2016 use the same figure as the
inception score). It cannot tell finer things, such as which mean was subtracted or the
order of colours; those stay conventions.

The pictures are drawn, the same every time: noise whose amplitude falls with frequency
and whose colours vary mostly in brightness, as photographs do, with a few plain discs.
"""

from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from visionedge.entities import Image
from visionedge.inference.calibration import softmax
from visionedge.inference.card import InputCard
from visionedge.inference.custom_vision import named_scores
from visionedge.inference.image import InputWriter
from visionedge.inference.session import Session
from visionedge.inference.size_inputs import size_inputs
from visionedge.inference.tensors import Outputs, squeezed

Scores = NDArray[np.floating]
_COUNT: Final = 12
_SIZE_PX: Final = 256
_SEED: Final = 20
_FALL: Final = 1.2
"""Exponent by which amplitude falls with frequency; photographs lie around 1."""
_SLACK: Final = 0.02


class Probe:
    """Asks one model. The pictures are drawn once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._spec = session.signature.picture

    @cached_property
    def _pictures(self) -> list[Image]:
        return pictures()

    def outputs(self, card: InputCard, count: int = _COUNT) -> list[Outputs]:
        """What the model says to the first `count` pictures, prepared as `card` says.

        Raises:
            ModelCardError: the card does not fit the input.
            ModelRunError: the model failed.
        """
        writer = InputWriter(card, self._spec)
        sizes = size_inputs(self._session.signature, writer.size)
        answers = []
        for picture in self._pictures[:count]:
            writer.write(picture)
            answers.append(self._session.run({self._spec.name: writer.tensor, **sizes}))
        return answers

    def size(self, card: InputCard) -> tuple[int, int]:
        """Width and height that pictures are brought to, pixels."""
        return InputWriter(card, self._spec).size

    def scores(self, card: InputCard, output: str | None) -> Scores:
        """What a classifier says to all pictures: (pictures, classes).

        Args:
            card: how they are prepared.
            output: which output to read; None is the first that can hold one number a class.
        """
        names = [spec.name for spec in self._session.signature.outputs]
        wanted = [names.index(output)] if output in names else range(len(names))
        answers = self.outputs(card)
        return np.array([_class_scores([said[i] for i in wanted]) for said in answers])


def _class_scores(outputs: Outputs) -> Scores:
    for output in outputs:
        if (by_name := named_scores(output)) is not None:
            return np.array([by_name[name] for name in sorted(by_name)])
        scores = squeezed(output, 1) if isinstance(output, np.ndarray) else None
        if scores is not None and scores.dtype.kind == "f" and scores.size:
            return scores
    return np.zeros(1)


def pictures() -> list[Image]:
    """Twelve drawn pictures, (256, 256, 3) uint8 BGR."""
    random = np.random.default_rng(_SEED)
    return [_picture(random, discs=2 * (index % 3)) for index in range(_COUNT)]


def _picture(random: np.random.Generator, discs: int) -> Image:
    bright, red_green, blue_yellow = (_noise(random) for _ in range(3))
    blue = 105 + 45 * bright - 18 * blue_yellow
    green = 115 + 45 * bright + 6 * blue_yellow - 6 * red_green
    red = 122 + 45 * bright + 8 * blue_yellow + 14 * red_green
    picture = np.clip(np.dstack([blue, green, red]), 0, 255).astype(np.uint8)
    y, x = np.mgrid[:_SIZE_PX, :_SIZE_PX]
    for _ in range(discs):
        column, row = random.integers(0, _SIZE_PX, 2)
        radius = random.integers(15, 70)
        disc = (x - column) ** 2 + (y - row) ** 2 < radius**2
        picture[disc] = random.integers(0, 256, 3, dtype=np.uint8)
    return picture


def _noise(random: np.random.Generator) -> NDArray[np.float64]:
    size = _SIZE_PX
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    phase = random.normal(size=frequency.shape) + 1j * random.normal(size=frequency.shape)
    noise: NDArray[np.float64] = np.fft.irfft2(phase / frequency**_FALL, (size, size))
    noise /= noise.std()
    return noise


def are_probabilities(scores: Scores) -> bool:
    """True if all of (pictures, classes) lie between 0 and 1."""
    return bool(scores.min() >= -_SLACK and scores.max() <= 1 + _SLACK)


def sum_to_one(scores: Scores) -> bool:
    """True if the classes of every picture sum to one."""
    return bool(np.allclose(scores.sum(axis=1), 1, atol=_SLACK))


def spread(scores: Scores) -> float:
    """How much the answers to the pictures differ: 0 if all are alike.

    Args:
        scores: (pictures, classes), probabilities or logits.
    """
    p = scores.astype(np.float64)
    if not np.isfinite(p).all():
        return 0.0
    if p.shape[1] == 1:
        p = np.hstack([1 - p, p]) if are_probabilities(p) else np.hstack([-p, p])
    if not are_probabilities(p):
        p = softmax(p.astype(np.float32)).astype(np.float64)
    p = np.clip(p, 1e-9, 1)
    p /= p.sum(axis=1, keepdims=True)
    return float((p * np.log(p / p.mean(axis=0))).sum(axis=1).mean())
