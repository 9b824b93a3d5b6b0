"""A machine for pickles that makes plain values, tensors and placeholders, and runs nothing."""
