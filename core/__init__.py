"""Netlens: what a trained network learned, where it is wrong, and why."""
