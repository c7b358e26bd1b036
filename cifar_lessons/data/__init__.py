"""The images: fetched, verified, read, split, augmented and served in batches."""
