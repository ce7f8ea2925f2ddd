"""Books made from real traces or from published statistics."""
