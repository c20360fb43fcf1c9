"""Where frames come from: one file a source, one conformance suite for all."""
