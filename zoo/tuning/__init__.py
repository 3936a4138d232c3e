"""Jobs that search for a better recipe: `bptt-zoo tune`."""
