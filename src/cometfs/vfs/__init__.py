"""What a mounted Comet looks like: names, directories, files and their bytes. Knows no kernel."""
