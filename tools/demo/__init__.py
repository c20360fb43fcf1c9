"""The main job on the embedded defaults: virtual line, module, local hub and verdicts."""
