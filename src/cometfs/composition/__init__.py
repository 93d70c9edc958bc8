"""Puts client, cache, budget and tree together. Not here: faces (fuse/, fsspec/), and what runs them."""
