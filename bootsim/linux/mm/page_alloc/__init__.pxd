# The allocator's C interface in one place: `from bootsim.linux.mm.page_alloc cimport ...`.
from bootsim.linux.mm.page_alloc.structs cimport *
from bootsim.linux.mm.page_alloc.gfp cimport *
from bootsim.linux.mm.page_alloc.core cimport *
from bootsim.linux.mm.page_alloc.free cimport *
from bootsim.linux.mm.page_alloc.fallback cimport *
from bootsim.linux.mm.page_alloc.zonelist cimport *
from bootsim.linux.mm.page_alloc.contig cimport *
from bootsim.linux.mm.page_alloc.node cimport *
from bootsim.linux.mm.page_alloc.slowpath cimport *
