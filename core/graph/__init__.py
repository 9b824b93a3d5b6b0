"""Frozen networks (.pt2, TorchScript, ONNX) as modules: nodes whose operators are on a list."""
