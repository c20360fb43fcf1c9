"""The training loop: AdamW, one cycle, an average of the weights, and the best so far kept.

The cycle ends with the steps or with the minutes, whichever comes first, so that a slow machine
gets a finished, if lesser, model and not half of a longer run. With enough minutes the steps
alone decide, and a seed gives the same training again on the same machine.
"""

import copy
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from training.batches import batches
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


def fit(pool: Pool, plan: Plan, checkpoint: Path) -> DefectNet:
    """Train a net from nothing.

    Args:
        pool: Frames to learn from.
        plan: Steps, time and rate.
        checkpoint: Where the best weights so far are kept, as a state dict.

    Returns:
        The net that did best on held-out frames.
    """
    torch.manual_seed(plan.seed)
    net = DefectNet().to(memory_format=torch.channels_last)
    average = _Average(net)
    held_out = _held_out(24)
    optimizer = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=0.02)
    begun, best, recent = time.monotonic(), -1.0, 0.0
    for step, (pictures, targets) in enumerate(batches(pool, plan.batch, plan.seed), start=1):
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
            score = _score(average.net, held_out)
            print(f"mAP50 of {len(held_out)} held-out frames {score:.3f}")
            if score >= best:
                best = score
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


def _held_out(lines: int) -> list[tuple[Image, Boxes]]:
    return [
        (sample.image, Boxes.true(sample.xyxy, sample.class_id))
        for number in range(lines)
        for sample in frames_of(crowded_line(int(Split.CHECKPOINT) + number), 2)
    ]


def _score(net: DefectNet, held_out: list[tuple[Image, Boxes]]) -> float:
    found = [predict(net, image) for image, _ in held_out]
    truths = [truth for _, truth in held_out]
    return mean_average_precision(
        [score_class(match_class(c, truths, found)) for c in range(CLASS_COUNT)]
    )
