"""What the formats of data sets share: archives, tables, arrays, lists, pictures in them."""
