"""The ARM port's headers, arch/arm/include/asm, under the name C code includes them by.

("include" in a module's name would be a Cython keyword.)
"""
