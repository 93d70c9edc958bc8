"""One budget and one cache for several machines, in Redis or Valkey. Alone imports coredis.

Not here: what is kept on one machine (cache/, quota/). Both work without this.
"""
