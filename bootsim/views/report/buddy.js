// Free blocks by order and migrate type: bars on a scale of powers of two, and the same numbers as a table.

const PLOT = { left: 40, top: 22, bottom: 34, height: 150 };

const blockCounts = (zone) => zone.free.map((lists) => lists.map((pfns) => pfns.length));
const usedTypes = (boot) => boot.migrate.map((name, type) => [name, type])
  .filter(([, type]) => D.boots.some((b) => b.zones.some((zones) => zones.some((zone) => zone.free.some((lists) => lists[type] && lists[type].length)))));

function freeBlocks() {
  byId('buddy').append(legend(usedTypes(D.boots[0]).map(([name]) => [MIGRATE_FAMILY[name], name])));
  stage.listeners.push(panels('buddy', (panel, boot, i) => {
    const box = el('div', {});
    panel.append(box);
    return () => {
      const zones = zonesOf(boot).filter((zone) => zone.free.length);
      const total = zones.reduce((sum, zone) => sum + zone.nr_free_pages, 0);
      box.replaceChildren(zones.length && total
        ? el('div', { class: 'zones' }, zones.map((zone) => zonePanel(boot, i, zone)))
        : el('p', { class: 'notice' }, 'No free blocks at this stage: memblock is still in charge. The buddy allocator gets its memory in memblock_free_all().'));
    };
  }));
}

function zonePanel(boot, i, zone) {
  const theirs = TWO ? zonesOf(other(i)).find((each) => each.name === zone.name) : null;
  const theirCounts = theirs ? blockCounts(theirs) : null, counts = blockCounts(zone), types = usedTypes(boot);
  const differs = (order, type) => Boolean(theirCounts && theirCounts[order]) && counts[order][type] !== theirCounts[order][type];
  const facts = [['present', zone.present], ['managed', zone.managed], ['free', zone.nr_free_pages], ['on per-cpu lists', zone.pcp]]
    .map(([name, pages]) => `${pages} pages ${name}`).join(', ');
  return el('div', { class: 'zone' },
    el('h4', {}, `Zone ${zone.name} `, el('span', { class: 'muted' }, `${span(zone.start, zone.end)}`),
      TWO && !theirs ? el('span', { class: 'mark' }, ` ≠ only in ${LETTERS[i]}`) : null),
    el('p', {}, `${facts}; ${size(zone.nr_free_pages * 4096)} free. Watermarks: min ${zone.watermark[0]}, low ${zone.watermark[1]}, high ${zone.watermark[2]}.`),
    zone.nr_free_pages ? null : el('p', { class: 'notice' }, 'Nothing is free in this zone at this stage.'),
    fitting((width) => [zone.nr_free_pages ? bars(zone, counts, types, differs, width) : null, blockTable(zone, counts, types, differs, width < 540)]));
}

// A box whose content is drawn for its width, and again when that changes.
function fitting(draw) {
  const box = el('div', { class: 'fitting' });
  let width = 0;
  new ResizeObserver(() => {
    if (!box.clientWidth || box.clientWidth === width) return;
    width = box.clientWidth;
    box.replaceChildren(...draw(width).filter(Boolean));
  }).observe(box);
  return box;
}

function bars(zone, counts, types, differs, room) {
  const orders = counts.length, group = Math.min(Math.max(54, types.length * 15 + 16), (room - PLOT.left) / orders), width = PLOT.left + orders * group;
  const bar = Math.min(15, (group - 4) / types.length);
  const most = Math.max(1, ...counts.flat()), top = Math.max(1, Math.ceil(Math.log2(most + 1)));
  const y = (count) => PLOT.top + PLOT.height * (1 - Math.log2(count + 1) / top), height = PLOT.top + PLOT.height + PLOT.bottom, id = `bars${drawn++}`;
  const total = counts.flat().reduce((sum, n) => sum + n, 0);
  const picture = svg('svg', { role: 'img', 'aria-labelledby': `${id}t ${id}d`, width, height, viewBox: `0 0 ${width} ${height}` },
    svg('title', { id: `${id}t` }, `Free blocks of zone ${zone.name} by order`), svg('desc', { id: `${id}d` }, `${plural(total, 'free block')}; the table below has the numbers. Heights grow with the logarithm of the count.`));
  for (let n = 0; n <= top; n += Math.max(1, Math.ceil(top / 5))) {
    const count = 2 ** n - 1, at = PLOT.top + PLOT.height * (1 - n / top);
    picture.append(svg('line', { x1: PLOT.left, x2: width, y1: at, y2: at, class: 'tick' }), svg('text', { x: PLOT.left - 6, y: at + 4, class: 'ticklabel', 'text-anchor': 'end' }, count));
  }
  counts.forEach((row, order) => {
    const left = PLOT.left + order * group + (group - types.length * bar) / 2, used = types.filter(([, type]) => row[type]).length;
    types.forEach(([name, type], n) => drawBar(picture, { count: row[type], x: left + n * bar, y, bar, name, order, differs: differs(order, type), room: used > 1 ? bar : group - 6 }));
    picture.append(svg('text', { x: PLOT.left + (order + 0.5) * group, y: height - 18, class: 'ticklabel', 'text-anchor': 'middle' }, order));
    if (group >= 48) picture.append(svg('text', { x: PLOT.left + (order + 0.5) * group, y: height - 4, class: 'ticklabel faint', 'text-anchor': 'middle' }, size(4096 * 2 ** order).replace(' ', '')));
  });
  return picture;
}
// A bar, with its count above where there is room for it; the table has them all.
function drawBar(picture, { count, x, y, bar, name, order, differs, room }) {
  if (!count) return;
  const top = y(count), bottom = PLOT.top + PLOT.height, label = differs ? `≠${count}` : `${count}`;
  picture.append(svg('rect', { x: x + 1, y: top, width: bar - 2, height: Math.max(1, bottom - top), class: `region f-${MIGRATE_FAMILY[name]}` }, svg('title', {}, `order ${order}, ${name}: ${plural(count, 'block')}`)));
  if (label.length * 7 <= room) picture.append(svg('text', { x: x + bar / 2, y: top - 4, class: 'barlabel', 'text-anchor': 'middle' }, label));
}

// The numbers: orders side by side, or one below the other where that is too wide.
function blockTable(zone, counts, types, differs, narrow) {
  const pages = (type) => counts.reduce((sum, row, order) => sum + row[type] * 2 ** order, 0);
  const orders = counts.map((_, order) => order);
  const head = ([name]) => [el('span', { class: `swatch f-${MIGRATE_FAMILY[name]}`, 'aria-hidden': 'true' }), ` ${name}`];
  const cell = (order, type) => el('td', { class: [differs(order, type) ? 'differs' : '', counts[order][type] ? '' : 'zero'].join(' ').trim() || null },
    differs(order, type) ? el('span', { class: 'mark', title: 'differs' }, '≠ ') : null, counts[order][type]);
  const caption = el('caption', {}, `Free blocks of zone ${zone.name}`);
  if (narrow) {
    return el('table', { class: 'numbers' }, caption,
      el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Order'), types.map((type) => el('th', { scope: 'col' }, head(type))))),
      el('tbody', {}, orders.map((order) => el('tr', {}, el('th', { scope: 'row' }, `${order} (${size(4096 * 2 ** order)})`), types.map(([, type]) => cell(order, type)))),
        el('tr', {}, el('th', { scope: 'row' }, 'Free'), types.map(([, type]) => el('td', {}, size(pages(type) * 4096))))));
  }
  return el('table', { class: 'numbers' }, caption,
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Order'), orders.map((order) => el('th', { scope: 'col' }, order)), el('th', { scope: 'col' }, 'Free'))),
    el('tbody', {}, types.map((type) => el('tr', {}, el('th', { scope: 'row' }, head(type)), orders.map((order) => cell(order, type[1])), el('td', {}, size(pages(type[1]) * 4096))))));
}
