"""Frozen networks (.pt2, TorchScript, ONNX) as modules: a list of nodes whose operators are on a list."""
