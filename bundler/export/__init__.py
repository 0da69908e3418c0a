"""From a checked model folder to ONNX graphs, one module for each way."""
