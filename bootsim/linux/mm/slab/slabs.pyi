from bootsim.linux.mm.slab.debug import SlabChecks

class SlabSlabs(SlabChecks):
    slab_max_order: int
    possible_cpus: int
    node_bytes: int
    recorded: bool
