"""Searches over the settings of a recipe: run, shared, recorded, drawn; validation chooses."""
