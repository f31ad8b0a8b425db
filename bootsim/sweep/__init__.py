"""Many boots: matrices of inputs, run on all processors, recorded, checked and searched.

- case: one boot's inputs, and matrices of them
- worker: booting a case, whatever comes of it
- pool: running cases on all processors of this machine; cluster: on those of others
- results: JSON lines, resuming, the table
- find: where a verdict flips
- checks: expectations over a matrix; checkfile reads them, reports writes them
"""
