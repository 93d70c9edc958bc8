"""Text that others wrote, and moments and numbers as text: pure functions. Not here: files of the tree (render/)."""
