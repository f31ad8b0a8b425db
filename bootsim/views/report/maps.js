// The physical map (banks, reservations, zones, CMA, free blocks) and the virtual one (areas, what is mapped).

const OWNER_LEGEND = [['image', 'kernel image'], ['tables', 'page tables'], ['tree', 'device tree, initrd, reserved-memory'], ['memmap', 'struct pages'],
  ['percpu', 'per-cpu'], ['hash', 'hash tables, log'], ['cma', 'CMA'], ['other', 'other early allocations']];
const MIGRATE_FAMILY = { Unmovable: 'unmovable', Movable: 'movable', Reclaimable: 'reclaimable', HighAtomic: 'highatomic', CMA: 'cma', Isolate: 'isolate' };
const MAP_FAMILIES = [['data', 'read-write, no execute'], ['code', 'executable'], ['ro', 'read only'], ['device', 'device']];

const DIFFERS = TWO ? [['under', 'underlined: ≠ differs']] : [];

const keyOf = (region) => region.join(' ');
const keysOf = (regions) => new Set((regions || []).map(keyOf));

function zonesOf(boot) { return stateOf(boot, 'zones') || []; }

// Free blocks as regions, one for each stretch of the same migrate type: [start, end, type].
const freeCache = new Map();
function freeRegions(boot) {
  const zones = stateOf(boot, 'zones');
  if (!zones) return [];
  if (freeCache.has(zones)) return freeCache.get(zones);
  const blocks = [];
  for (const zone of zones) {
    zone.free.forEach((lists, order) => lists.forEach((pfns, type) => {
      for (const pfn of pfns) blocks.push([pfn * 4096, (pfn + 2 ** order) * 4096, type]);
    }));
  }
  blocks.sort((a, b) => a[0] - b[0]);
  const merged = [];
  for (const block of blocks) {
    const last = merged[merged.length - 1];
    if (last && last[1] === block[0] && last[2] === block[2]) last[1] = block[1]; else merged.push([...block]);
  }
  freeCache.set(zones, merged);
  return merged;
}

function reservations(boot, i) {
  const state = stateOf(boot, 'memblock'), before = stateBefore(boot, 'memblock');
  const known = keysOf(before && before.reserved);
  const there = TWO ? keysOf((stateOf(other(i), 'memblock') || {}).reserved) : null;
  return (state ? state.reserved : []).map((r) => ({
    start: r[0], end: r[1], caller: r[2], family: r[3], what: r[4],
    fresh: !known.has(keyOf(r)), differs: TWO && !there.has(keyOf(r)),
  }));
}

function differing(i, regions, pick) {
  if (!TWO) return regions.map(() => false);
  const there = keysOf(pick(other(i)));
  return regions.map((region) => !there.has(keyOf(region)));
}

function physicalLanes(boot, i) {
  const memblock = (b) => (stateOf(b, 'memblock') || { memory: [] }).memory;
  const zones = (b) => zonesOf(b).map((z) => [z.name, z.start, z.end]);
  const areas = (b) => stateOf(b, 'areas') || [];
  const ram = memblock(boot), ramDiffers = differing(i, ram, memblock);
  const held = reservations(boot, i);
  const lanes = [{
    label: 'RAM that memblock knows',
    regions: ram.map(([start, end, flags], n) => region(start, end, flags & 4 ? 'nomap' : 'ram', flags & 4 ? 'no-map' : 'RAM', ramDiffers[n])),
  }, {
    label: 'Reserved',
    regions: held.map((r) => ({ ...region(r.start, r.end, r.family, r.what, r.differs, ` (${r.caller}())`), fresh: r.fresh })),
  }];
  const zoneRows = zones(boot), areaRows = areas(boot);
  if (areaRows.length || zoneRows.length) {
    const zoneDiffers = differing(i, zoneRows, zones), areaDiffers = differing(i, areaRows, areas);
    lanes.push({ label: 'Zones', regions: zoneRows.map(([name, start, end], n) => region(start, end, `zone-${name.toLowerCase()}`, name, zoneDiffers[n])) },
      { label: 'CMA areas', regions: areaRows.map(([name, start, end], n) => region(start, end, 'cma', name, areaDiffers[n])) });
  }
  const free = freeRegions(boot);
  if (free.length) {
    const freeDiffers = differing(i, free, freeRegions);
    lanes.push({ label: 'Free in the buddy allocator, by migrate type',
      regions: free.map(([start, end, type], n) => region(start, end, MIGRATE_FAMILY[boot.migrate[type]], boot.migrate[type], freeDiffers[n], ' (free)')) });
  }
  return lanes;
}
function region(start, end, family, text, differs, more = '') {
  return { start, end, family, text, differs, about: `${span(start, end)}  ${size(end - start)}  ${text}${more}${differs ? '  ≠ differs' : ''}` };
}

function extent(pairs, unit) {
  const lo = Math.min(...pairs.map((p) => p[0])), hi = Math.max(...pairs.map((p) => p[1]));
  return [Math.floor(lo / unit) * unit, Math.min(2 ** 32, Math.ceil(hi / unit) * unit)];
}

function physicalMap() {
  const spans = D.boots.flatMap((boot) => [...boot.banks, ...boot.memblock.flatMap((m) => [...m.memory, ...m.reserved].map((r) => [r[0], r[1]]))]);
  const limits = D.boots.map((boot) => boot.steps[boot.steps.length - 1].limit).filter(Boolean);
  const home = extent(D.boots.flatMap((boot) => boot.banks), 2 ** 20);
  const full = extent(spans, 2 ** 20);
  const first = D.boots[0].banks[0][0];
  const presets = [['All', ...full], ['Kernel image', first, first + 2 ** 24]];
  for (const limit of new Set(limits)) presets.push([`Below ${hex(limit)}`, limit - 12 * 2 ** 20, limit]);
  const view = new Window(full, home, presets);
  byId('physical').append(windowBar(view, 'physical'), legend([...OWNER_LEGEND, ['movable', 'free, movable'], ['unmovable', 'free, unmovable'], ['fresh', 'dashed: new at this stage'], ...DIFFERS]));
  stage.listeners.push(panels('physical', (panel, boot, i) => {
    const draw = laneMap(panel, view, `Physical memory${TWO ? ` of ${boot.name}` : ''}`, () => physicalLanes(boot, i),
      () => (stepOf(boot).limit ? [[stepOf(boot).limit, `lowmem ends ${hex(stepOf(boot).limit)}`]] : []));
    const redraw = unfolding(panel, 'Table: reservations', () => reservationTable(boot, i, view), !TWO);
    return () => { draw(); redraw(); };
  }));
}

function reservationTable(boot, i, view) {
  const state = stateOf(boot, 'memblock');
  const banks = state ? state.memory : [];
  const held = reservations(boot, i), bankDiffers = differing(i, banks, (b) => (stateOf(b, 'memblock') || {}).memory);
  const rows = banks.map(([start, end, flags], n) => ({
    cells: [zoomTo(view, start, end), size(end - start), flags & 4 ? 'RAM, no-map' : 'RAM', ''], differs: bankDiffers[n],
  })).concat(held.map((r) => ({
    cells: [zoomTo(view, r.start, r.end), size(r.end - r.start), [el('span', { class: `swatch f-${r.family}`, 'aria-hidden': 'true' }), ` ${r.what}`], el('code', {}, `${r.caller}()`)],
    differs: r.differs, fresh: r.fresh,
  })));
  const caption = `memblock after ${D.stages[stage.at][0]}: ${plural(banks.length, 'bank')}, ${plural(held.length, 'reservation')}, ${size(held.reduce((sum, r) => sum + r.end - r.start, 0))} reserved`;
  return table(caption, ['Physical addresses', 'Size', 'What', 'Who asked'], rows);
}
function zoomTo(view, start, end) {
  return button(span(start, end), () => { view.around(start, end); announce(`Showing ${span(start, end)}`); }, { class: 'link', title: 'Zoom to it' });
}

// ---- virtual

const INNER = /^\./;
function areaOf(boot, va) {
  const found = boot.layout.filter(([, start, end]) => start <= va && va < end);
  return (found.find(([name]) => !INNER.test(name)) || [''])[0];
}

function virtualLanes(boot, i) {
  const tables = stateOf(boot, 'tables');
  const ranges = (b) => (stateOf(b, 'tables') || { ranges: [] }).ranges;
  const areas = (inner) => (b) => b.layout.filter(([name]) => INNER.test(name) === inner).sort((a, c) => a[1] - c[1]);
  const lane = (label, inner, family) => {
    const rows = areas(inner)(boot), changed = differing(i, rows, areas(inner));
    return { label, regions: rows.map(([name, start, end], n) => region(start, end, inner ? 'inner' : family(name), name, changed[n])) };
  };
  const mapped = ranges(boot), changed = differing(i, mapped, ranges);
  return [
    lane('Areas of the address space', false, (name) => `area-${name}`),
    lane('Kernel image', true),
    { label: tables ? 'Mapped by the page tables' : 'Mapped by the page tables (none yet)',
      regions: mapped.map(([start, end, pa, kind], n) => {
        const [what, attributes, family] = D.meanings.kinds[kind];
        return { ...region(start, end, family, `→ ${hex(pa)} ${what}`, changed[n], ` ${attributes}`), short: what };
      }) },
  ];
}

function virtualMap() {
  const starts = D.boots.flatMap((boot) => [boot.page_offset, ...boot.layout.map((area) => area[1])]);
  const home = extent([[Math.min(...starts), 2 ** 32]], 2 ** 24), full = [0, 2 ** 32];
  const presets = [['Kernel space', ...home], ['All 4 GiB', ...full]];
  for (const offset of new Set(D.boots.map((boot) => boot.page_offset))) presets.push([`Image at ${hex(offset)}`, offset, offset + 2 ** 24]);
  presets.push(['Top 8 MiB', 2 ** 32 - 2 ** 23, 2 ** 32]);
  const view = new Window(full, home, presets);
  byId('virtual').append(windowBar(view, 'virtual'), legend([...MAP_FAMILIES, ...DIFFERS]));
  stage.listeners.push(panels('virtual', (panel, boot, i) => {
    const draw = laneMap(panel, view, `Virtual addresses${TWO ? ` of ${boot.name}` : ''}`, () => virtualLanes(boot, i), () => []);
    const ranges = unfolding(panel, 'Table: mapped ranges', () => rangeTable(boot, i, view), !TWO);
    const areas = unfolding(panel, 'Table: areas of the address space', () => areaTable(boot, i, view));
    return () => { draw(); ranges(); areas(); };
  }));
}

function rangeTable(boot, i, view) {
  const ranges = (b) => (stateOf(b, 'tables') || { ranges: [] }).ranges;
  const mapped = ranges(boot), changed = differing(i, mapped, ranges), before = keysOf((stateBefore(boot, 'tables') || {}).ranges);
  return table(`Mapped after ${D.stages[stage.at][0]}: ${plural(mapped.length, 'range')}`,
    ['Virtual addresses', 'Size', 'Physical', 'By', 'Attributes', 'Area'],
    mapped.map((range, n) => {
      const [start, end, pa, kind] = range, [what, attributes, family] = D.meanings.kinds[kind];
      return { cells: [zoomTo(view, start, end), size(end - start), hex(pa), [el('span', { class: `swatch f-${family}`, 'aria-hidden': 'true' }), ` ${what}`], attributes, areaOf(boot, start)],
        differs: changed[n], fresh: !before.has(keyOf(range)) };
    }));
}
function areaTable(boot, i, view) {
  const changed = differing(i, boot.layout, (b) => b.layout);
  return table('The kernel’s virtual memory layout, as it is at the end', ['Virtual addresses', 'Area', 'Size'],
    boot.layout.map(([name, start, end], n) => ({ cells: [zoomTo(view, start, end), name, size(end - start)], differs: changed[n] })));
}
