"""One training loop, in parts small enough to read at a sitting."""
