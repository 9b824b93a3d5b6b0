"""What the formats of logs share: bytes, columns, settings, and the search of a folder."""
