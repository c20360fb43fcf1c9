"""Batches of crops, cut one step ahead of the net.

One thread cuts while the net learns: OpenCV and numpy release the GIL, and with just one the
order of the random numbers, and so the training, stays the same for a seed.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from training.augment import CROP_PX, Crop, random_crop
from training.loss import Targets, make_targets
from training.net import STRIDE
from training.pool import Pool, sample_of


def batches(pools: Sequence[Pool], size: int, seed: int) -> Iterator[tuple[Tensor, Targets]]:
    """Endless batches of (size, 3, 320, 320) RGB pictures, 0..1, with what they show.

    Each pool gives as many as any other, whatever its length.
    """
    rng = np.random.default_rng(seed)
    with ThreadPoolExecutor(max_workers=1) as cutter:
        ahead = cutter.submit(_batch, pools, size, rng)
        while True:
            done = ahead.result()
            ahead = cutter.submit(_batch, pools, size, rng)
            yield done


def _batch(pools: Sequence[Pool], size: int, rng: np.random.Generator) -> tuple[Tensor, Targets]:
    crops = [_crop(pools[number % len(pools)], rng) for number in range(size)]
    return _pictures(crops), make_targets(
        [torch.from_numpy(crop.xyxy) for crop in crops],
        [torch.from_numpy(crop.class_id.astype(np.int64)) for crop in crops],
        [torch.from_numpy(crop.ignored) for crop in crops],
        CROP_PX // STRIDE,
    )


def _crop(pool: Pool, rng: np.random.Generator) -> Crop:
    return random_crop(sample_of(pool, int(rng.integers(len(pool)))), rng)


def _pictures(crops: list[Crop]) -> Tensor:
    stacked = np.stack([crop.image[:, :, ::-1] for crop in crops])
    pictures = torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255
    return pictures.contiguous(memory_format=torch.channels_last)
