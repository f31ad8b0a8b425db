from bootsim.linux.mm.mmap.structs import VmAreaStruct, VmOperationsStruct

class VmSpecialMapping:
    name: str
    pages: list[int]
    def __init__(self, name: str) -> None: ...

special_mapping_vmops: VmOperationsStruct
sigpage_mapping: VmSpecialMapping
vdso_data_mapping: VmSpecialMapping
vdso_text_mapping: VmSpecialMapping

def special_mapping_close(vma: VmAreaStruct) -> None: ...
def special_mapping_name(vma: VmAreaStruct) -> str: ...
def special_mapping_mremap(vma: VmAreaStruct) -> int: ...
