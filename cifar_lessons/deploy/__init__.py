"""Trained networks out of the door: exported, quantised, and run by other engines."""
