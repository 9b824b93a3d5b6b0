"""How the one pass runs: decoding ahead, threads, batch size, and writing as it goes."""
