"""Options of a build that bootsim does not model are refused by name."""

import pytest

from bootsim.inputs.buildcheck import problems
from bootsim.inputs.configfile import load_build


@pytest.mark.parametrize("symbol", ["ARM_LPAE", "PHYS_ADDR_T_64BIT", "HUGETLB_PAGE", "KASAN", "NUMA",
                                    "DEFERRED_STRUCT_PAGE_INIT", "NEED_PER_CPU_PAGE_FIRST_CHUNK"])
def test_what_is_not_modelled_is_refused(symbol):
    build = load_build("3G/1G")
    found = list(problems(build.replace(config=build.config.replace(**{symbol: True}))))
    assert [(where, text.partition(":")[0]) for where, text in found] == [(("config", symbol), "true")]


def test_a_kernel_for_no_processor_is_refused():
    build = load_build("3G/1G")
    assert list(problems(build.replace(config=build.config.replace(CPU_V7=False, CPU_V6=True)))) == []
    found = list(problems(build.replace(config=build.config.replace(CPU_V7=False))))
    assert [where for where, _ in found] == [("config", "CPU_V7")]
