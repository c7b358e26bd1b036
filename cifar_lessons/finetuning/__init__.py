"""Your own pictures: a shipped network learns the classes of a folder."""
