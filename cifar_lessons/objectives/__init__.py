"""What a network is asked to do: each objective maps a model and a batch to a loss."""
