"""The way back: verdicts to the module that asked."""
