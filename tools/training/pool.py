"""A pool of rendered frames on disk, from which the training cuts its crops.

A new board costs the renderer about as much as a training step costs the net, while a crop of a
rendered one costs a hundredth. So a pool is rendered once, by all cores, into one memory-mapped
array; each frame is then seen many times, never twice at the same place, size, turn and light.

Not promised: durability. A pool is rendered again when its file does not match what is asked.
"""

import multiprocessing
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from training.lines import Sample, Split, frames_of, varied_line

FRAMES_A_LINE = 16
_SHAPE = (720, 1280, 3)


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Rendered frames with their truth.

    Attributes:
        frames: (n, 720, 1280, 3) uint8 BGR, mapped from disk, read-only.
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


def render_pool(folder: Path, seed: int, lines: int, jobs: int = 2) -> Pool:
    """Render `lines` lines of `FRAMES_A_LINE` frames, or open the pool that is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    frames_path = folder / f"frames-{seed}-{lines}.npy"
    truth_path = frames_path.with_suffix(".npz")
    if not truth_path.exists():
        shape = (lines * FRAMES_A_LINE, *_SHAPE)
        np.lib.format.open_memmap(frames_path, mode="w+", dtype=np.uint8, shape=shape)
        base = int(Split.LEARN) + seed * 10_000
        tasks = [_Task(frames_path, base + i, i * FRAMES_A_LINE) for i in range(lines)]
        truths: list[tuple[NDArray[np.float32], NDArray[np.int32]]] = []
        with multiprocessing.get_context("spawn").Pool(jobs) as workers:
            for done, line_truth in enumerate(workers.imap(_render_line, tasks), start=1):
                truths.extend(line_truth)
                print(f"\rrendering {done}/{lines} lines", end="", flush=True)
        print()
        _write_truth(truth_path, truths)
    return _open(frames_path, truth_path)


def _render_line(task: _Task) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
    cv2.setNumThreads(1)
    frames = np.lib.format.open_memmap(task.path, mode="r+")
    truth = []
    samples = frames_of(varied_line(task.seed), FRAMES_A_LINE)
    for at, sample in enumerate(samples, start=task.first):
        frames[at] = sample.image
        truth.append((sample.xyxy, sample.class_id))
    return truth


def _write_truth(path: Path, truths: list[tuple[NDArray[np.float32], NDArray[np.int32]]]) -> None:
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
