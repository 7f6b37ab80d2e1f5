"""The pools' metrics for monitoring systems, made of snapshots when they are asked for: checkouts pay nothing."""
