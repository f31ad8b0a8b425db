# bootsim: vexpress.dts --mem 512M --config 3G/1G
"""Where does each part of a module go, and what of it stays? hello.S beside this script is the source of hello.ko."""

from pathlib import Path

PAGE = 4096
layout = k.mm.layout

hello = insmod(Path(__file__).with_name("hello.ko"))
core = hello.core_layout
assert hello.name == "hello"
assert layout.MODULES_VADDR <= core.base < layout.MODULES_END

# Four kinds of memory in whole pages: code, what is read alone, what is so from now on, data.
text, rodata = hello.sections[".text"], hello.sections[".rodata"]
once, data, bss = hello.sections[".data..ro_after_init"], hello.sections[".data"], hello.sections[".bss"]
assert [core.text_size, core.ro_size, core.ro_after_init_size] == [PAGE, 2 * PAGE, 3 * PAGE]
assert core.base == text < rodata < once < data < bss
assert [(at - core.base) // PAGE for at in (text, rodata, once, data)] == [0, 1, 2, 3]
assert k.translate(text, "execute")
assert not k.translate(text, "write")
assert not k.translate(rodata, "execute")
assert not k.translate(once, "write")
assert k.translate(data, "write")
assert not k.translate(data, "execute")

# The bytes are those of the file; what .bss has is zero.
assert (load(data), load(once), load(bss)) == (41, 0x600D, 0)
store(data, load(data) + 1)
assert load(data) == 42

# The init part was a range of its own behind the core. Its function has run, and it is gone with its data.
assert not [name for name in hello.sections if name.startswith(".init")]
after = core.base + core.size + PAGE  # a guard page between two ranges
assert not k.translate(after)
vm_unmap_aliases()
assert module_alloc(PAGE) == after
assert "hello" in k.mm.modules

rmmod("hello")
assert "hello" not in k.mm.modules
assert not k.translate(text)
