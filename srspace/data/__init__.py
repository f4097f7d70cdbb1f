"""Data sets and training patches."""
