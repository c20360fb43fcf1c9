"""What the module has its eye on: the objects in view, and what was asked about them.

It outlives the decider, which is replaced with the settings, so that a stream of twin
patches neither opens the gate for a flood nor asks again about what was just asked.

A question is opened by the first doubtful frame of an object and is due a little later;
objects that come into doubt meanwhile join it, and of the frames in between the best view
is sent (`views`). What that frame shows counts as asked. An object of the question that is
not in it waits for the next one.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from visionedge.entities import Frame, Question, new_id
from visionedge.escalation.control import ControlSample
from visionedge.escalation.drift import DriftWatch
from visionedge.escalation.novelty import NoveltyWatch
from visionedge.escalation.quality import PictureWatch
from visionedge.escalation.scenes import Scenes
from visionedge.escalation.tracks import Track, Tracks

_CUT_OFF: Final = 0.5
"""What an object is worth as a view when the border of the frame cuts it."""
_BORDER_PX: Final = 2.0
_COMMON: Final = 0.5
"""Share of its doubt that a class is worth when nothing else is ever asked about."""
_MEMORY: Final = 0.99
"""Weight of the past in the count of asked classes: about the last hundred."""
_MOST_LABELS: Final = 1000


@dataclass(slots=True)
class CameraAttention:
    """Of one camera; `lock` is held by whoever reads or writes the rest."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    tracks: Tracks = field(default_factory=Tracks)
    scenes: Scenes = field(default_factory=Scenes)
    control: ControlSample = field(default_factory=ControlSample)
    novelty: NoveltyWatch = field(default_factory=NoveltyWatch)
    drift: DriftWatch = field(default_factory=DriftWatch)
    picture: PictureWatch = field(default_factory=PictureWatch)
    last_ns: int | None = None
    """When it last opened a question, by the time of capture."""
    question: str = ""
    due_ns: int = 0
    credit: float = 0.0
    """Second looks at confident frames that are due."""
    asked_labels: dict[str, float] = field(default_factory=dict)

    def looks_again(self, share: float) -> bool:
        """True for so many of the confident frames, evenly."""
        self.credit += share
        if self.credit < 1:
            return False
        self.credit -= 1
        return True

    def admit(self, captured_ns: int, min_interval_ns: int) -> bool:
        """True, and remembered, if the frame is far enough from the last one admitted.

        Workers finish frames out of order, so the distance counts in both directions.
        """
        if self.is_too_soon(captured_ns, min_interval_ns):
            return False
        self.last_ns = max(captured_ns, self.last_ns or captured_ns)
        return True

    def is_too_soon(self, captured_ns: int, min_interval_ns: int) -> bool:
        """True if `admit` would not let the frame in."""
        return self.last_ns is not None and abs(captured_ns - self.last_ns) < min_interval_ns

    def open_question(self, due_ns: int) -> str:
        """Begin a question that is due at `due_ns`."""
        self.question, self.due_ns = new_id(), due_ns
        return self.question

    def rarity(self, label: str) -> float:
        """1 for what was never asked about, falling towards 0 for what always is."""
        total = sum(self.asked_labels.values())
        return 1 - self.asked_labels.get(label, 0.0) / (total + 1)

    def end_question(self, question: Question) -> list[Track]:
        """Let nothing join a question any more; the objects in view that it was about.

        By the word of whoever asks it and not by the clock: frames are decided later than they
        were captured, and an object that joined what was asked already would never be asked about.
        """
        if self.question == question.id:
            self.question = ""
        waiting = self.tracks.of_question(question.id)
        for track in waiting:
            track.question = ""
        return waiting

    def asked(self, label: str) -> None:
        """Count one question about `label`."""
        for known in self.asked_labels:
            self.asked_labels[known] *= _MEMORY
        if label in self.asked_labels or len(self.asked_labels) < _MOST_LABELS:
            self.asked_labels[label] = self.asked_labels.get(label, 0.0) + 1


class Attention:
    """Of all cameras. Safe for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cameras: dict[str, CameraAttention] = {}

    def of(self, camera_id: str) -> CameraAttention:
        """That of one camera; lock it before use."""
        with self._lock:
            if camera_id not in self._cameras:
                self._cameras[camera_id] = CameraAttention()
            return self._cameras[camera_id]

    def forget(self, camera_id: str) -> None:
        """The camera is gone; one that comes by its name later has no past."""
        with self._lock:
            self._cameras.pop(camera_id, None)

    def look_anew(self, camera_id: str) -> None:
        """Another camera stands behind the name: how its pictures are is learned anew.

        What was asked stays, and a fault is believed until the new pictures show none.
        """
        camera = self.of(camera_id)
        with camera.lock:
            camera.picture = PictureWatch(camera.picture.fault)
            camera.novelty = NoveltyWatch()

    def close(self, camera_id: str, question: Question, captured_ns: int) -> bool:
        """A question is about to be asked by the frame that shows `question.tracks`.

        Returns:
            False where none of its objects is in doubt any more, now that they have been
            seen better: nobody needs to be asked.
        """
        camera = self.of(camera_id)
        with camera.lock:
            waiting = camera.end_question(question)
            shown = [track for track in waiting if track.id in question.tracks]
            for track in shown:
                track.asked_ns = captured_ns
            return not (shown and all(track.sure for track in shown))

    def release(self, camera_id: str, question: Question) -> None:
        """A question was given up: its objects may be asked about by a later frame."""
        camera = self.of(camera_id)
        with camera.lock:
            camera.end_question(question)


def worth(score: float, rarity: float) -> float:
    """What an answer is worth: the doubt, and up to twice as much for a rare class."""
    return score * (_COMMON + (1 - _COMMON) * rarity)


def view_of(frame: Frame, boxes: Sequence[Sequence[float]]) -> float:
    """How well `frame` shows boxes, x1 y1 x2 y2: how many, how whole, how near the middle."""
    width, height = frame.width, frame.height
    whole, off_centre = 0.0, 0.0
    for x1, y1, x2, y2 in boxes:
        starts = min(x1, y1) > _BORDER_PX
        ends = x2 < width - _BORDER_PX and y2 < height - _BORDER_PX
        whole += 1.0 if starts and ends else _CUT_OFF
        off_centre += max(abs((x1 + x2) / width - 1), abs((y1 + y2) / height - 1))
    return whole - 0.4 * off_centre / len(boxes)
