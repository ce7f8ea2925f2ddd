"""Dated data tables with unit, source and state of verification. No logic beyond reading them."""
