"""Reading machine descriptors out of C, and choosing one as the kernel does."""

from boards.machines import Machine, machine_for, machines_of_source, machines_of_text

BOARD_C = """
/* DT_MACHINE_START(COMMENTED, "not there") .dt_compat = alpha_compat, MACHINE_END */
static const char *const alpha_compat[] __initconst = {
	"example,alpha",	/* the first */
	"example,alpha2",
	NULL
};
static char const *const beta_compat[] __initconst = { "example,beta", NULL, };

DT_MACHINE_START(ALPHA_DT, "Alpha (Device Tree)")
	.smp		= smp_ops(alpha_smp_ops),
	.map_io		= alpha_map_io, // static mappings
	.reserve	= alpha_reserve,
	.dt_compat	= alpha_compat,
MACHINE_END

DT_MACHINE_START(BETA_DT, "Beta")
#ifdef CONFIG_ZONE_DMA
	.dma_zone_size = SZ_256M,
#endif
	.init_machine = beta_init,
	.dt_compat = beta_compat
MACHINE_END

MACHINE_START(BY_NUMBER, "No device tree")
	.map_io		= old_map_io,
MACHINE_END
"""


def test_machines_of_text():
    alpha, beta = machines_of_text(BOARD_C)
    assert alpha == Machine(
        "ALPHA_DT", "Alpha (Device Tree)", ("example,alpha", "example,alpha2"),
        (("map_io", "alpha_map_io"), ("reserve", "alpha_reserve")),
    )  # fmt: skip
    assert alpha.hook_names() == "map_io alpha_map_io, reserve alpha_reserve"
    assert (beta.compatible, beta.hooks) == (("example,beta",), (("dma_zone_size", "SZ_256M"),))


def test_machines_of_source(tmp_path):
    folder = tmp_path / "arch/arm/mach-example"
    folder.mkdir(parents=True)
    (folder / "board.c").write_text(BOARD_C)
    (folder / "other.c").write_text("int x;\n")
    assert [machine.symbol for machine in machines_of_source(tmp_path)] == ["ALPHA_DT", "BETA_DT"]


def test_the_most_specific_string_decides():
    soc = Machine("SOC", "SoC", ("example,soc",), ())
    board = Machine("BOARD", "Board", ("example,other", "example,board"), ())
    assert machine_for(("example,board", "example,soc"), (soc, board)) is board
    assert machine_for(("example,new-board", "example,soc"), (soc, board)) is soc
    assert machine_for(("example,unknown",), (soc, board)) is None
    assert machine_for((), (soc, board)) is None
