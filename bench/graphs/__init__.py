"""ONNX graphs of well-known networks with random weights, made when a benchmark needs them."""
