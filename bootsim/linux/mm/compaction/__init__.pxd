# A package whose modules can be cimported.
