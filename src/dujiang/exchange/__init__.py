"""The one place where a round is put together."""
