"""What happened in a run: one rule a function, documented with its thresholds."""
