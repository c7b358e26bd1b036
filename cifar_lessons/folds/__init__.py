"""Cross-validation: folds trained, shared, recorded, drawn; and the labels that they doubt."""
