"""Showing a benchmark's results: tables, comparisons, the perception-distortion plane."""
