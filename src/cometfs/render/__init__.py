"""Pure functions from parsed answers to the bytes of files. No I/O, no clock, no names of files."""
