"""The command line: the thin edge where options come in and sentences go out."""
