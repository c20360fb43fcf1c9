"""How contenders are shown against the bare run of a model: one row each, in these columns."""

from typing import Final

from bench.report import Column

BASE: Final = "bare session.run"
"""What everything is held against: the file as it is, in one thread."""
COLUMNS: Final = (
    Column("", lambda row: row.contender),
    Column("frames/s", lambda row: f"{row.frames_per_s:.1f}"),
    Column("ms", lambda row: f"{row.wall_ms:.2f}"),
    Column("over bare", lambda row: f"{row.over_base_ms:+.2f}"),
    Column("CPU ms", lambda row: f"{row.cpu_ms:.2f}"),
    Column("of bare", lambda row: f"{row.ratio:.3f}"),
    Column("95 % interval", lambda row: f"{row.ratio_low:.3f} to {row.ratio_high:.3f}"),
    Column("by CPU", lambda row: f"{row.cpu_ratio:.3f}"),
)
