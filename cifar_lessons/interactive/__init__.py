"""What a reader can operate on a page without a kernel, by mouse, finger or keyboard."""
