"""Where the time and the memory of training go, measured: input, precision, roofline, breakdown."""
