"""A trained network behind HTTP: pictures in, the likeliest classes out."""
