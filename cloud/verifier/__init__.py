"""The cloud half: an escalation in, a verdict out, from any Vision API.

Begin to read at `core.py`. It knows no host and no vendor; `backends/` holds one file a Vision
API, `stores/` the places where the ledger lives, `reply/` the way back to the module.

Of the module it imports `visionedge.wire` only, so it can be deployed without the module.
"""
