"""Samples to bytes, each format with what it can tell beside them."""
