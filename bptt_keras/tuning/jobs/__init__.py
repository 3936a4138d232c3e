"""Jobs that survive kills: their state, their executions, chief and workers."""
