"""What the fields of an ONNX file are numbered, as far as they are read or written here.

Source: onnx/onnx.proto.
"""

from typing import Final

MODEL_IR, MODEL_PRODUCER, MODEL_GRAPH, MODEL_OPSET, MODEL_METADATA = 1, 2, 7, 8, 14
ENTRY_KEY, ENTRY_VALUE = 1, 2
OPSET_DOMAIN: Final = 1
GRAPH_NODE, GRAPH_TENSOR, GRAPH_INPUT, GRAPH_OUTPUT = 1, 5, 11, 12
VALUE_NAME: Final = 1
NODE_INPUT, NODE_OUTPUT, NODE_OP, NODE_ATTRIBUTE, NODE_DOMAIN = 1, 2, 4, 5, 7
ATTRIBUTE_NAME, ATTRIBUTE_FLOAT, ATTRIBUTE_INT, ATTRIBUTE_TENSOR = 1, 2, 3, 5
ATTRIBUTE_GRAPH, ATTRIBUTE_INTS, ATTRIBUTE_STRINGS, ATTRIBUTE_TYPE = 6, 8, 9, 20
TYPE_FLOAT, TYPE_INTS = 1, 7
TENSOR_DIMS, TENSOR_TYPE, TENSOR_FLOATS, TENSOR_NAME = 1, 2, 4, 8
TENSOR_RAW, TENSOR_EXTERNAL = 9, 13
STANDARD: Final = ("", "ai.onnx")
"""Names of the domain of the standard operators."""
NESTED: Final = ("If", "Loop", "Scan", "SequenceMap")
"""Operators that hold graphs of their own."""
