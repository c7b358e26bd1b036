"""From a trained network to numbers: predictions, and what can be said of them."""
