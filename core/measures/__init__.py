"""What can be measured of a network: its cost, what it sees and does, what its weights are like."""
