"""What test-time augmentation gains: measured on the recorded networks, in tables, in figures."""
