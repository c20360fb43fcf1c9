"""The training loop: AdamW, one cycle, an average of the weights, and the best so far kept.

The cycle ends with the steps or with the minutes, whichever comes first, so that a slow machine
gets a finished, if lesser, model and not half of a longer run. With enough minutes the steps
alone decide, and a seed gives the same training again on the same machine.
"""

import copy
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.batches import batches
from training.etched import etched_board
from training.lines import Split, crowded_line, frames_of
from training.loss import detection_loss
from training.net import CLASS_COUNT, DefectNet
from training.pool import Pool
from training.predict import predict
from visionedge.entities import Image
from visionedge.evaluation.average_precision import (
    Boxes,
    match_class,
    mean_average_precision,
    score_class,
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: Batches.
        minutes: A limit of time for all of them.
        batch: Crops a step.
        rate: The highest learning rate.
        seed: Of weights and crops.
        checkpoint_steps: Steps between two looks at held-out frames.
    """

    steps: int = 3_400
    minutes: float = 60.0
    batch: int = 12
    rate: float = 4e-3
    seed: int = 7
    checkpoint_steps: int = 500


class _Average:
    """A running average of the weights: steadier than the weights of any one step."""

    def __init__(self, net: DefectNet, keep: float = 0.998) -> None:
        self.net = copy.deepcopy(net).eval()
        self._keep = keep
        self._steps = 0

    def update(self, net: DefectNet) -> None:
        """Take in one step; the first ones count more."""
        self._steps += 1
        keep = min(self._keep, self._steps / (self._steps + 10))
        with torch.no_grad():
            for mine, theirs in zip(
                self.net.state_dict().values(), net.state_dict().values(), strict=True
            ):
                if mine.dtype.is_floating_point:
                    mine.lerp_(theirs, 1 - keep)
                else:
                    mine.copy_(theirs)


def fit(
    pools: Sequence[Pool], plan: Plan, checkpoint: Path, start: Path | None = None
) -> DefectNet:
    """Train a net, from nothing or from where another training ended.

    Args:
        pools: Pictures to learn from, each pool as often as the other.
        plan: Steps, time and rate.
        checkpoint: Where the best weights so far are kept, as a state dict.
        start: Such weights to go on from.

    Returns:
        The net that did best on held-out frames.
    """
    torch.manual_seed(plan.seed)
    net = (load(start) if start else DefectNet()).train()
    net = net.to(memory_format=torch.channels_last)
    average = _Average(net)
    held_out = _held_out()
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=0.02)
    begun, best, recent = time.monotonic(), -1.0, 0.0
    for step, (pictures, targets) in enumerate(batches(pools, plan.batch, plan.seed), start=1):
        minutes = (time.monotonic() - begun) / 60
        progress = min(1.0, max(step / plan.steps, minutes / plan.minutes))
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * _cycle(progress)
        loss = detection_loss(net(pictures), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        average.update(net)
        recent += (float(loss.detach()) - recent) * (0.02 if step > 50 else 1 / step)
        if step % 50 == 0:
            print(f"\rstep {step} ({progress:.0%}, {minutes:.1f} min) loss {recent:.3f}   ",
                  end="", flush=True)  # fmt: skip
        if step % plan.checkpoint_steps == 0 or progress >= 1.0:
            scores = {style: _score(average.net, some) for style, some in held_out.items()}
            print("held-out mAP50:", *(f"{style} {s:.3f}" for style, s in scores.items()))
            if sum(scores.values()) >= best:
                best = sum(scores.values())
                torch.save(average.net.state_dict(), checkpoint)
        if progress >= 1.0:
            break
    return load(checkpoint)


def load(checkpoint: Path) -> DefectNet:
    """The net with saved weights, ready to answer."""
    net = DefectNet()
    net.load_state_dict(torch.load(checkpoint, weights_only=True))
    net.eval()
    return net


def _cycle(progress: float) -> float:
    """The share of the highest rate: up within a twentieth, then down along a cosine."""
    if progress < 0.05:
        return 0.05 + 0.95 * progress / 0.05
    return 0.005 + 0.995 * (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2


def _held_out() -> dict[str, list[tuple[Image, Boxes]]]:
    first = int(Split.CHECKPOINT)
    lines = (s for number in range(24) for s in frames_of(crowded_line(first + number), 2))
    scans = (etched_board(first + number) for number in range(64))
    return {
        style: [(sample.image, Boxes.true(sample.xyxy, sample.class_id)) for sample in samples]
        for style, samples in (("lines", lines), ("etched", scans))
    }


def _score(net: DefectNet, held_out: list[tuple[Image, Boxes]]) -> float:
    found = [predict(net, image) for image, _ in held_out]
    truths = [truth for _, truth in held_out]
    return mean_average_precision(
        [score_class(match_class(c, truths, found)) for c in range(CLASS_COUNT)]
    )
