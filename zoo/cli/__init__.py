"""The command line `bptt-zoo`."""
