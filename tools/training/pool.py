"""Pools of rendered pictures on disk, from which the training cuts its crops.

A new board costs the renderer about as much as a training step costs the net, while a crop of a
rendered one costs a hundredth. So a pool is rendered once, by all cores, into one memory-mapped
array; each picture is then seen many times, never twice at the same place, size, turn and light.

Not promised: durability. A pool is rendered again when its file does not match what is asked.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.etched import SIDE_PX, draw_etched
from training.lines import Sample, Split, frames_of, varied_line

FRAMES_A_LINE: Final = 16
BOARDS_A_TASK: Final = 40
_FRAME: Final = (720, 1280, 3)

Truth = tuple[NDArray[np.float32], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Rendered pictures with their truth.

    Attributes:
        frames: (n, 720, 1280, 3) uint8 BGR or (n, 640, 640) uint8, mapped from disk, read-only.
        xyxy: for each frame (k, 4) float32, pixels.
        class_id: for each frame (k,) int32.
    """

    frames: NDArray[np.uint8]
    xyxy: list[NDArray[np.float32]]
    class_id: list[NDArray[np.int32]]

    def __len__(self) -> int:
        return len(self.xyxy)


@dataclass(frozen=True, slots=True)
class _Task:
    path: Path
    seed: int
    first: int


def line_pool(folder: Path, seed: int, lines: int) -> Pool:
    """`lines` lines of `FRAMES_A_LINE` frames, rendered, or opened where they are already."""
    base = int(Split.LEARN) + seed * 10_000
    shape = (lines * FRAMES_A_LINE, *_FRAME)
    tasks = [(base + i, i * FRAMES_A_LINE) for i in range(lines)]
    return _pool(folder / f"lines-{seed}-{lines}.npy", shape, tasks, _render_line)


def etched_pool(folder: Path, seed: int, boards: int) -> Pool:
    """`boards` etched boards, rounded up to whole tasks; else as `line_pool`."""
    count = -(-boards // BOARDS_A_TASK)
    base = int(Split.LEARN) + seed * 10_000
    shape = (count * BOARDS_A_TASK, SIDE_PX, SIDE_PX)
    tasks = [(base + i * BOARDS_A_TASK, i * BOARDS_A_TASK) for i in range(count)]
    return _pool(folder / f"etched-{seed}-{boards}.npy", shape, tasks, _render_etched)


def _pool(
    frames_path: Path,
    shape: tuple[int, ...],
    tasks: list[tuple[int, int]],
    render: Callable[[_Task], list[Truth]],
    jobs: int = 2,
) -> Pool:
    frames_path.parent.mkdir(parents=True, exist_ok=True)
    truth_path = frames_path.with_suffix(".npz")
    if not truth_path.exists():
        np.lib.format.open_memmap(frames_path, mode="w+", dtype=np.uint8, shape=shape)
        truths: list[Truth] = []
        with multiprocessing.get_context("spawn").Pool(jobs) as workers:
            asked = [_Task(frames_path, *task) for task in tasks]
            for done, some in enumerate(workers.imap(render, asked), start=1):
                truths.extend(some)
                print(f"\rrendering {frames_path.stem}: {done}/{len(asked)}", end="", flush=True)
        print()
        _write_truth(truth_path, truths)
    return _open(frames_path, truth_path)


def _render_line(task: _Task) -> list[Truth]:
    cv2.setNumThreads(1)
    frames = np.lib.format.open_memmap(task.path, mode="r+")
    truth = []
    samples = frames_of(varied_line(task.seed), FRAMES_A_LINE)
    for at, sample in enumerate(samples, start=task.first):
        frames[at] = sample.image
        truth.append((sample.xyxy, sample.class_id))
    return truth


def _render_etched(task: _Task) -> list[Truth]:
    cv2.setNumThreads(1)
    frames = np.lib.format.open_memmap(task.path, mode="r+")
    truth = []
    for number in range(BOARDS_A_TASK):
        picture, xyxy, class_id = draw_etched(task.seed + number)
        frames[task.first + number] = picture
        truth.append((xyxy, class_id))
    return truth


def _write_truth(path: Path, truths: list[Truth]) -> None:
    np.savez(
        path,
        counts=np.array([len(boxes) for boxes, _ in truths]),
        xyxy=np.concatenate([boxes for boxes, _ in truths]),
        class_id=np.concatenate([classes for _, classes in truths]),
    )


def _open(frames_path: Path, truth_path: Path) -> Pool:
    frames = np.load(frames_path, mmap_mode="r")
    with np.load(truth_path) as truth:
        ends = np.cumsum(truth["counts"])[:-1]
        return Pool(frames, np.split(truth["xyxy"], ends), np.split(truth["class_id"], ends))


def sample_of(pool: Pool, index: int) -> Sample:
    """Frame `index` of the pool with its truth."""
    return Sample(pool.frames[index], pool.xyxy[index], pool.class_id[index])
