"""What is logged beside numbers: histograms, pictures, curves, and what is worked out of them."""
