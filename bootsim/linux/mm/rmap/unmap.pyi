from bootsim.linux.mm.memory.tables import TablePages
from bootsim.linux.mm.mmap.structs import VmAreaStruct

def mapping_vmas(pages: TablePages, pfn: int) -> list[VmAreaStruct]: ...
