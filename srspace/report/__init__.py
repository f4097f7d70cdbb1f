"""A benchmark's results for people: tables, comparisons, plots of the perception-distortion plane."""
