"""One file a rule of doubt; `visionedge.escalation.rules` lists them."""
