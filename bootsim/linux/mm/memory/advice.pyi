# Handed on by cimport alone.
