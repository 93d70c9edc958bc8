"""The kernel's face of a mounted Comet: alone imports pyfuse3 and errno, translates and decides nothing."""
