"""What a chart of training curves is made of: axes, points, hover, pictures, downloads."""
