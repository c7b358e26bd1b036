"""What a teacher's answers are worth: its doubts, its share of the gradient, its students."""
