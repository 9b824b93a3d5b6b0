"""What a model wants and means, from the JSON that lies beside its file."""
