"""What `scripts/bench` is made of: archives, processes, workloads, the table. No part of the package, and no test."""
