"""An engine with the least that can be a pool: what tasks that wait in the middle of a query cost by themselves."""
