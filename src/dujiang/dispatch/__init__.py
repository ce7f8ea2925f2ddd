"""Runs awards on the engines that centres already have."""
