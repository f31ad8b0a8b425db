"""The steps of tests/golden/mistakes/mistakes.txt on bootsim's machine, as mistakes.c takes them on a real one."""

from __future__ import annotations

import re

from bootsim.errors import BootsimError
from bootsim.linux.include.linux import gfp, slab
from bootsim.linux.include.linux.mm_types import Page
from bootsim.linux.kernel.printk import KERN_INFO, printk
from bootsim.linux.mm import page_alloc as pa
from bootsim.linux.mm.cma import cma_alloc, cma_release
from bootsim.linux.mm.page_alloc import __free_pages as free_block
from bootsim.linux.mm.usercopy import check_object_size

HELD = 400


class Mistakes:
    """Letters a-z: addresses, A-Z: pages, digits: caches."""

    def __init__(self, k):
        self.k = k
        self.v = dict.fromkeys("abcdefghijklmnopqrstuvwxyz", 0)
        self.pages, self.caches = {}, {}
        self.held, self.held_of = [0] * HELD, [0] * HELD
        self.rnd_state = 0

    # ---------------------------------------------------------------- words

    def say(self, text):
        printk(self.k, KERN_INFO, "{text}", text=text, func="mistakes")

    def value(self, word):
        if word[0] in self.v and re.fullmatch(r"[a-z]([+-]\d+)?", word):
            return (self.v[word[0]] + int(word[1:] or 0)) & 0xFFFFFFFF
        return int(word, 0) if re.fullmatch(r"0x[0-9a-f]+|\d+", word) else 0

    def page(self, word):
        if word[0].islower():
            return Page(self.k, gfp.virt_to_pfn(self.k, self.value(word)))
        return Page(self.k, self.pages[word[0]].pfn + int(word[1:] or 0))

    def give(self, name, page):
        page = Page(self.k, page) if isinstance(page, int) else page
        self.pages[name] = page
        self.say(f"= pfn {page.pfn if page else 0:05x}")

    def answer(self, name, va):
        self.v[name] = va or 0
        self.say(f"= {va or 0:08x}")

    def write(self, va, data):
        self.k.machine.ram.write(self.k.virt_to_phys(va), data)

    # ---------------------------------------------------------------- steps

    def step(self, words):
        op, name = words[0], words[1] if len(words) > 1 else ""
        numbers = [self.value(word) for word in words[2:]] + [0] * 6
        cache = self.caches.get(name)
        if op in ("destroy", "shrink", "free") and cache is None:
            self.say("= no cache")
        else:
            getattr(self, "do_" + op)(name, cache, words, *numbers[:3])

    def do_create(self, name, _cache, words, *_, ctor=None):
        size, align, flags, offset, part = [self.value(word) for word in (*words[3:], "0", "0")][:5]
        made = slab.kmem_cache_create_usercopy(self.k, words[2], size, align, flags, offset, part, ctor)
        self.caches[name] = made
        self.say("= none" if made is None else "= made")

    def do_creatector(self, *words):
        self.do_create(*words, ctor=lambda va: self.write(va, (0x12345678).to_bytes(4, "little")))

    def do_createbad(self, name, _cache, words, *_):
        size, align, flags = (self.value(word) for word in words[3:6])
        self.caches[name] = slab.kmem_cache_create(self.k, words[2], size, align, flags,
                                                   lambda va: self.write(va, b"\x11" * 128))

    def do_destroy(self, _name, cache, *_):
        slab.kmem_cache_destroy(self.k, cache)

    def do_shrink(self, _name, cache, *_):
        self.say(f"= {slab.kmem_cache_shrink(self.k, cache)}")

    def do_alloc(self, name, _cache, words, _number, flags, *_):
        cache = self.caches[words[2]]
        self.answer(name, slab.kmem_cache_alloc(self.k, cache, flags) if cache is not None else 0)

    def do_free(self, _name, cache, _words, va, *_):
        slab.kmem_cache_free(self.k, cache, va)

    def do_kmalloc(self, name, _cache, _words, size, flags, *_):
        self.answer(name, slab.kmalloc(self.k, size, flags))

    def do_fresh(self, name, _cache, _words, size, flags, *_):
        """kmalloc() until a slab that was just made gives its first object, and none is left of older ones."""
        last = 0
        for n in range(1200):
            va = slab.kmalloc(self.k, size, flags)
            head = pa.page_info(self.k, gfp.virt_to_pfn(self.k, va))["compound_head"]
            new = va - self.k.phys_to_virt(head << 12) < size if self.k.build.config.SLAB else head != last
            if n >= 600 and new:
                break
            last = head
        self.answer(name, va)

    def do_kfree(self, name, *_):
        slab.kfree(self.k, self.value(name))

    def do_ksize(self, name, *_):
        self.say(f"= {slab.ksize(self.k, self.value(name))}")

    def do_krealloc(self, name, _cache, _words, size, flags, *_):
        self.answer(name, slab.krealloc(self.k, self.v[name], size, flags))

    def do_fill(self, name, _cache, _words, length, byte, *_):
        self.write(self.value(name), bytes((byte,)) * length)

    def do_show(self, name, _cache, _words, length, *_):
        data = self.k.read(self.value(name), length)
        for at in range(0, length, 16):
            self.say(f"= {at:03x}: {data[at:at + 16].hex(' ')}")

    def do_page(self, name, _cache, _words, order, flags, *_):
        self.give(name, gfp.alloc_pages(self.k, flags, order))

    def do_freepages(self, name, _cache, _words, order, *_):
        free_block(self.k, self.page(name).pfn, order)

    def do_address(self, name, _cache, words, *_):
        self.answer(name, self.page(words[2]).va)

    def do_exact(self, name, _cache, _words, size, flags, *_):
        self.answer(name, gfp.alloc_pages_exact(self.k, size, flags))

    def do_freeexact(self, name, _cache, _words, size, *_):
        gfp.free_pages_exact(self.k, self.value(name), size)

    def do_split(self, name, _cache, _words, order, *_):
        gfp.split_page(self.k, self.page(name), order)

    def do_getpage(self, name, *_):
        pa.get_page(self.k, self.page(name).pfn)

    def do_putpage(self, name, *_):
        pa.put_page(self.k, self.page(name).pfn)

    def do_setcount(self, name, _cache, _words, count, *_):
        self.page(name).refcount = count

    def do_setmapcount(self, name, _cache, _words, count, *_):
        self.page(name).mapcount = count - 1

    def do_setmapping(self, name, _cache, _words, mapping, *_):
        self.page(name).mapping = mapping

    def do_setflag(self, name, _cache, _words, bit, *_):
        page = self.page(name)
        page.flags |= 1 << bit

    def do_state(self, name, *_):
        page = self.page(name)
        self.say(f"= flags {page.flags:05x} count {page.refcount}")

    def do_drain(self, *_):
        pa.drain_all_pages(self.k)

    def do_cma(self, name, _cache, _words, count, align, *_):
        self.give(name, cma_alloc(self.k, self.k.mm.cma_areas[0], count, align))

    def do_cmafree(self, name, _cache, _words, count, *_):
        self.say(f"= {int(cma_release(self.k, self.k.mm.cma_areas[0], self.page(name).pfn, count))}")

    def do_usercopy(self, name, _cache, _words, length, to_user, *_):
        check_object_size(self.k, self.value(name), length, bool(to_user))

    def do_traffic(self, name, _cache, _words, steps, caches, *_):
        """Random use of the first caches, a line of addresses for each eight objects."""
        self.rnd_state, line = self.value(name), ""
        for _ in range(steps):
            slot = self.rnd(HELD)
            if self.held[slot]:
                slab.kmem_cache_free(self.k, self.caches[str(self.held_of[slot])], self.held[slot])
                self.held[slot] = 0
                if self.rnd(200) == 0:
                    slab.kmem_cache_shrink(self.k, self.caches[str(self.rnd(caches))])
                continue
            self.held_of[slot] = self.rnd(caches)
            self.held[slot] = slab.kmem_cache_alloc(self.k, self.caches[str(self.held_of[slot])], 0xCC0)
            line += f" {self.held[slot]:08x}"
            if len(line) >= 72:
                self.say("=" + line)
                line = ""
        self.say("=" + line)
        for slot in range(HELD):
            if self.held[slot]:
                slab.kmem_cache_free(self.k, self.caches[str(self.held_of[slot])], self.held[slot])
                self.held[slot] = 0

    def rnd(self, most):
        self.rnd_state ^= self.rnd_state << 13 & 0xFFFFFFFF
        self.rnd_state ^= self.rnd_state >> 17
        self.rnd_state ^= self.rnd_state << 5 & 0xFFFFFFFF
        return self.rnd_state % most

    # ---------------------------------------------------------------- all of them

    def make(self, steps):
        """Take the steps of one mistake; what the log says of them. Where the kernel stops, they end."""
        since = len(self.k.log.records)
        for step in steps:
            self.say(f"> {step}")
            at = len(self.k.log.records)
            try:
                self.step(step.split(" "))
            except BootsimError as error:
                self.say(f"! {error}")
            said = [record.text for record in self.k.log.records[at:] if record.kernel]
            if any(text.startswith("kernel BUG at") for text in said):
                return self.texts(since, at) + [text for text in said if not text.startswith("= ")] + ["= over"]
        return self.texts(since)

    def texts(self, since, until=None):
        return [record.text for record in self.k.log.records[since:until] if record.kernel]


def mistakes(text):
    """The steps of each mistake by its name."""
    found = {}
    for part in text.split("mistake ")[1:]:
        head, *steps = part.splitlines()
        found[head.partition(" ")[0]] = [step for step in steps if step and step[0] != "#"]
    return found
