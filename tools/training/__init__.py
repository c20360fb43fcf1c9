"""Trains the bundled models on the virtual line. PyTorch lives here and nowhere else."""
