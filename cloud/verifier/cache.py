"""Answers that were paid for once, by the exact picture and the exact question.

The key is the SHA-256 of the JPEG with all that decides the answer: API, model, version and what
was wanted. Nothing looser will do: a scratch of 60 pixels leaves a perceptual hash unchanged, and
is the very thing that is asked about.

Camera frames hardly ever repeat to the byte, so this saves little on a running line. It does when
a picture is escalated again under a new id: after a lost spool, by two modules of one camera, or
by a test pattern.
"""

import hashlib
import logging
from datetime import timedelta
from typing import Final

from pydantic import AwareDatetime, BaseModel, TypeAdapter, ValidationError

from verifier.clock import Clock
from verifier.errors import StoreConflict, StoreUnavailable
from verifier.opinion import Backend, Opinion, Picture, Want
from verifier.stores.store import Store

log: Final = logging.getLogger(__name__)
_PREFIX: Final = "cache/"


class _Kept(BaseModel):
    at: AwareDatetime
    opinion: Opinion


_KEPT: Final = TypeAdapter(_Kept)


class Cache:
    """Opinions by picture and question. Safe for threads and workers.

    Args:
        days: How long an answer is good for; 0 keeps none.
    """

    def __init__(self, store: Store, clock: Clock, *, days: float = 7.0) -> None:
        self._store = store
        self._clock = clock
        self._good_for = timedelta(days=days)

    def find(self, backend: Backend, picture: Picture, want: frozenset[Want]) -> Opinion | None:
        """The answer, if this very question was answered not too long ago."""
        stored = self._store.read(_key(backend, picture, want)) if self._good_for else None
        if stored is None:
            return None
        try:
            kept = _KEPT.validate_json(stored.value)
        except ValidationError:
            return None
        return kept.opinion if kept.at + self._good_for > self._clock.utc() else None

    def keep(
        self, backend: Backend, picture: Picture, want: frozenset[Want], opinion: Opinion
    ) -> None:
        """Keep an answer, in the place of an older one; no cache is worth losing the answer for."""
        if not self._good_for:
            return
        key = _key(backend, picture, want)
        value = _KEPT.dump_json(_Kept(at=self._clock.utc(), opinion=opinion))
        try:
            if older := self._store.read(key):
                self._store.replace(key, value, older.version)
            else:
                self._store.create(key, value)
        except StoreConflict:
            return  # Another worker kept an answer to the same question just now.
        except StoreUnavailable as error:
            log.warning("an answer was not cached: %s", error)


def _key(backend: Backend, picture: Picture, want: frozenset[Want]) -> str:
    question = "\n".join((picture.sha256, backend.name, backend.recipe, *sorted(want)))
    return _PREFIX + hashlib.sha256(question.encode()).hexdigest()
