"""From a file that the user names to arrays of numbers.

================ ================================================================================
`sources.py`      opens the file: compressed, encoded, Excel, Parquet, or text
`delimited.py`    takes text apart into records
`numerals.py`     the numbers, dates and words in the cells
`table.py`        the columns that are asked for, without the rows that have gaps
================ ================================================================================

Begin with `table.py`.
"""
