"""Statistics: what normal looks like, how far an image is from it, and where to draw the line."""
