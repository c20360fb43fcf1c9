"""Active learning: what was verified is kept, exported, and sent to where models are trained."""
