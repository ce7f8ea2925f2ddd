"""What was really used: GPU-hours, energy, carbon. Pure."""
