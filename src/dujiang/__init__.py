"""dujiang (都江): an open exchange that channels compute, data and capital to those who build AI."""

__version__ = "0.1.0"
