"""What pre-training without labels is worth: probes of features, tables and figures."""
