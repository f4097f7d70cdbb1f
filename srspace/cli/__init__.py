"""The command line, a module for each command: it parses, makes one library call, and prints."""
