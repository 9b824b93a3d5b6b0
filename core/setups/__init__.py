"""Other set-ups than the card's, tried on a sample: which the predictions speak for."""
