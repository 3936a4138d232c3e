"""Reads tables of numbers from users' text files with pandas, without TensorFlow.

`content` opens a file, `layout` splits it into fields, `cells` converts them to
numbers, `times` and `clock` find the times of the rows, `gaps` fills in missing values.
`zoo.tables.own_table.read_table` combines them.
"""
