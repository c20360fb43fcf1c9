"""What a person wants to know of a run: a line a second, and a table at the end.

All of it is read from the metrics and the telemetry's totals, so that the terminal, the
metrics page and the messages can never tell different stories.
"""

import time
from typing import Any, Final

from visionedge.app import App
from visionedge.cameras.feed import CameraState
from visionedge.escalation.decide import BY_CHOICE
from visionedge.metrics import Metrics

_MOST_LABELS: Final = 8
_AS_MEANT: Final = ("starting", CameraState.OPENING, CameraState.RUNNING, CameraState.ENDED)


class StatusLine:
    """One line a second: rate, latency, doubt, and what waits."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._before = (time.monotonic(), 0)

    def __call__(self) -> None:
        """Print the line."""
        app, counts = self._app, self._app.metrics.counts
        captured = sum(counts("visionedge_frames_captured_total", "camera").values())
        processed = sum(counts("visionedge_frames_processed_total", "camera").values())
        escalated = _questions(app.metrics)[0]
        settled = sum(counts("visionedge_resolutions_total", "outcome").values())
        waiting = app.reporter.spool_stats().unanswered + app.reporter.unsent()
        latency = app.telemetry.recent_latency()
        away = f"  camera {away}" if (away := _away(app)) else ""
        timing = f"p50 {latency.p50_ms:5.1f}  p99 {latency.p99_ms:5.1f} ms" if latency else "-"
        print(
            f"{app.uptime_s:5.0f} s  {self._rate(processed):5.1f} fps  {timing:>25}  "
            f"captured {captured}  processed {processed}  escalated {escalated}  "
            f"settled {settled}  waiting {waiting}  {app.link.state}{away}",
            flush=True,
        )

    def _rate(self, processed: int) -> float:
        now_s = time.monotonic()
        then_s, before = self._before
        self._before = (now_s, processed)
        return (processed - before) / max(now_s - then_s, 1e-9)


class Summary:
    """The figures of a whole run, from its start."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._began = time.monotonic()

    def document(self) -> dict[str, Any]:
        """The figures as JSON."""
        app, counts = self._app, self._app.metrics.counts
        captured = sum(counts("visionedge_frames_captured_total", "camera").values())
        processed = sum(counts("visionedge_frames_processed_total", "camera").values())
        actions = counts("visionedge_decisions_total", "action")
        latency = app.telemetry.total_latency()
        spool = app.reporter.spool_stats()
        lost = counts("visionedge_spool_lost_total", "cause")
        asked, spared = _questions(app.metrics)
        dropped = counts("visionedge_escalations_dropped_total", "cause")
        return {
            "seconds": round(time.monotonic() - self._began, 1),
            "cameras": app.status()["cameras"],
            "frames": {
                "captured": captured,
                "processed": processed,
                "dropped": counts("visionedge_frames_dropped_total", "cause"),
                "per_second": round(processed / max(app.uptime_s, 1e-9), 1),
            },
            "seen": dict(app.telemetry.total_seen().most_common()),
            "latency_ms": latency.model_dump() if latency else None,
            "escalations": {
                "decided": asked,
                "share": round(asked / max(processed, 1), 4),
                "suppressed": actions.get("suppress", 0),
                "spared": spared,
                "dropped_before_spool": {
                    cause: n for cause, n in dropped.items() if cause not in BY_CHOICE
                },
                "lost": {cause: n for cause, n in lost.items() if n},
                "unanswered": spool.unanswered,
                "unsent": app.reporter.unsent(),
            },
            "resolutions": counts("visionedge_resolutions_total", "outcome"),
            "bytes": {
                "sent": sum(counts("visionedge_sent_bytes_total", "kind").values()),
                "frames": sum(counts("visionedge_frame_bytes_total", "camera").values()),
            },
            "spool_messages": spool.messages,
        }

    def text(self) -> str:
        """The figures as a table."""
        d = self.document()
        latency, escalations, sizes = d["latency_ms"], d["escalations"], d["bytes"]
        lost = sum(escalations["lost"].values()) + sum(escalations["dropped_before_spool"].values())
        rows = [
            ("ran", f"{d['seconds']} s, {d['frames']['per_second']} frames/s"),
            *([("cameras", away)] if (away := _away(self._app)) else []),
            ("frames captured", str(d["frames"]["captured"])),
            ("frames processed", str(d["frames"]["processed"])),
            ("frames dropped", _listed(d["frames"]["dropped"])),
            ("seen", _listed(dict(list(d["seen"].items())[:_MOST_LABELS]))),
            ("capture to decision", _latency(latency)),
            (
                "escalated",
                f"{escalations['decided']} ({escalations['share']:.2%} of processed), "
                f"suppressed {escalations['suppressed']}",
            ),
            ("not asked after all", _listed(escalations["spared"])),
            ("verdicts", _listed(d["resolutions"])),
            ("unanswered yet", _unanswered(escalations["unanswered"], escalations["unsent"])),
            ("bytes sent", _sizes(sizes["sent"], sizes["frames"])),
            ("escalations lost", str(lost)),
        ]
        return "\n".join(f"{name:>20}  {value}" for name, value in rows)


def _away(app: App) -> str:
    """Cameras of which nothing can be expected now; those of a file that has ended are as meant."""
    states = app.status()["cameras"].items()
    return ", ".join(f"{name} {state}" for name, state in states if state not in _AS_MEANT)


def _sizes(sent: int, captured: int) -> str:
    if not captured:
        return f"{sent:,}, and nothing was captured"
    return f"{sent:,} of {captured:,} captured ({sent / captured:.4%})"


def _unanswered(sent: int, unsent: int) -> str:
    behind = f", {unsent} not sent yet" if unsent else ""
    return f"{sent + unsent} (kept in the spool{behind})"


def _latency(latency: dict[str, float] | None) -> str:
    if latency is None:
        return "no frame was processed"
    return "  ".join(f"{name.removesuffix('_ms')} {ms:.1f} ms" for name, ms in latency.items())


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()) if count) or "none"


def _questions(metrics: Metrics) -> tuple[int, dict[str, int]]:
    """How many questions were asked, and why others were not after all."""
    asked = metrics.value("visionedge_stage_seconds_count", {"stage": "spool"})
    dropped = metrics.counts("visionedge_escalations_dropped_total", "cause")
    return int(asked), {cause: n for cause, n in dropped.items() if cause in BY_CHOICE and n}
