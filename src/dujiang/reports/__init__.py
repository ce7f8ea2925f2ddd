"""What happened, for people and for other programs. Pure: records in, text out."""
