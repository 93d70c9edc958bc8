"""Metrics as SVG: points to lines (`curves`), paper with axes and ticks (`paper`, `ticks`), and the picture
(`plots`)."""
