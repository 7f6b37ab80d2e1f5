"""The pools' numbers for monitoring systems, made of snapshots when somebody asks: checkouts pay nothing for them."""
