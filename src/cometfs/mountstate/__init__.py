"""What is open and known of a mount: inodes, handles, what is revalidated and followed. Works without a kernel.

Not here: replies and requests of the kernel (`fuse`), what the tree holds (`vfs`).
"""
