"""The table of runs: filtered, grouped, compared by hyperparameters."""
