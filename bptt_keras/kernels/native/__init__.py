"""The recurrences as native code for CPUs, in a library that is built with the package.

`library` loads it, `probe` tries it out and says why it does not run, if it does not.
`implementation` is the `Implementation` of a recurrence. It calls the library in one of
two ways, which `calls` has: as a custom call within a program of XLA, whose text
`stablehlo` writes, or as an operation of TensorFlow. `place` says which of the two what
is being traced may contain. `src/` is the source of the library.
"""
