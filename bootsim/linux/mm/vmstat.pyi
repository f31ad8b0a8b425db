from bootsim.linux import Kernel

NOT_COUNTED: tuple[str, ...]

def all_vm_events(k: Kernel) -> dict[str, int]: ...
