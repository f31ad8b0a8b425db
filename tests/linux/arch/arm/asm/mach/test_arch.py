"""The machines' own code: which there is, and how it is called."""

import pytest

from bootsim.inputs.build import MachineDesc
from bootsim.linux.arch.arm.asm.mach import arch


@pytest.mark.parametrize(("name", "place"), [*arch.MODELLED.items(), *arch.SMP_INIT_CPUS.items()])
def test_every_hook_leads_to_a_function_that_names_its_source(name, place):
    module, _, function = place.partition(":")
    found = getattr(arch.import_module(f"bootsim.linux.arch.arm.{module}"), function or name)
    assert "Source: arch/arm/mach-" in found.__doc__


def test_a_hook_is_modelled_or_has_no_effect():
    assert not arch.MODELLED.keys() & arch.WITHOUT_EFFECT.keys()


def test_an_unknown_hook_is_told_and_not_run(make):
    k = make.started()
    k.mdesc = MachineDesc(symbol="X", name="X board", dt_compat="x", map_io="x_map_io", init_early="imx51_init_early")
    arch.warn_of_hooks(k)
    assert [record.text for record in k.log.records if "hook" in record.text] == [
        "bootsim: machine 'X board': its map_io hook, x_map_io(), is not modelled; what it does is missing"]
    assert arch.run_hook(k, "map_io") is None


def test_a_hook_gets_the_kernel(make):
    k = make.started()
    k.mdesc = MachineDesc(symbol="X", name="X", dt_compat="x", dt_fixup="armada_370_xp_dt_fixup")
    arch.run_hook(k, "dt_fixup")
    assert k.smp_ops == "armada_xp_smp_ops"
