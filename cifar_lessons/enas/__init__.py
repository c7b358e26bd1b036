"""Searching for a network: a space of architectures, shared weights and a controller (ENAS)."""
