"""Floor 0.5: what is kept outside the process: archives, checkpoints, results.

A file is written beside its place and renamed, so that none is ever half there. An archive carries a
checksum, and its members are compared with their description before they are read. Nothing that
stands in a file is executed.

================== ==============================================================================
`files.py`          a file written beside its place and renamed
`archives.py`       arrays and a description in a zip file, read with a limit of memory
`checksum.py`       one digest of arrays and texts
`checks.py`         paths, suffixes, and entries of a description
`identity.py`       what tells which job a checkpoint belongs to
`checkpoint.py`     a long job's replicates, saved as they come
`moved.py`          where the classes of earlier versions' files stand now
`result_file.py`    a result as an archive
`saved.py`          results that can be saved, and loaded again
`html.py`           a result as a table of a notebook
================== ==============================================================================

Begin with `archives.py`.
"""
