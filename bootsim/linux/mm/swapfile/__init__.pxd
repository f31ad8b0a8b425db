# The swap areas' C interface in one place: `from bootsim.linux.mm.swapfile cimport ...`.
from bootsim.linux.mm.swapfile.swapops cimport *
from bootsim.linux.mm.swapfile.info cimport *
from bootsim.linux.mm.swapfile.areas cimport *
