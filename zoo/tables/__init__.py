"""Tables of numbers in text files of anyone's: read with pandas, without TensorFlow.

`content` opens a file, `layout` cuts it into fields, `cells` makes numbers of them,
`times` and `clock` find when the rows were, `gaps` mends what is missing.
`zoo.tables.own_table.read_table` puts them together.
"""
