"""Direct methods: what the cloud can ask of the module, each by its name."""

from visionedge.methods.registry import METHODS, Method, Methods
from visionedge.methods.seams import Operated

__all__ = ["METHODS", "Method", "Methods", "Operated"]
