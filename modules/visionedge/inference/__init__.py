"""From a frame to a prediction: session, geometry, boxes, and one file an output head."""
