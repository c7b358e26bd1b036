"""What the test images leave open: spoiled images, and test images that are in train as well."""
