"""Pages in one HTML file: pictures, scripts and styles inside, no request to anywhere."""
