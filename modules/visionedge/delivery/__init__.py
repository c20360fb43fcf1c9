"""Models by twin: fetched, checked, and kept in slots on disk."""
