"""Jobs that no kill damages: their state, their executions, chief and workers."""
