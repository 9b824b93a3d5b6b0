"""Files of weights without their network: what the tensors are, and which network fits."""
