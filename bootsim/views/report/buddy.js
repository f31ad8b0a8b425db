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
    zone.nr_free_pages ? el('div', { class: 'scroll plain', role: 'region', 'aria-label': `Bars of zone ${zone.name}`, tabindex: '0' }, bars(zone, counts, types, differs)) : el('p', { class: 'notice' }, 'Nothing is free in this zone at this stage.'),
    el('div', { class: 'scroll', role: 'region', 'aria-label': `Free blocks of zone ${zone.name}`, tabindex: '0' }, blockTable(boot, zone, counts, types, differs)));
}

function bars(zone, counts, types, differs) {
  const orders = counts.length, group = Math.max(54, types.length * 15 + 16), width = PLOT.left + orders * group;
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
    const left = PLOT.left + order * group + (group - types.length * 15) / 2;
    types.forEach(([name, type], n) => drawBar(picture, { count: row[type], x: left + n * 15, y, name, order, differs: differs(order, type) }));
    picture.append(svg('text', { x: PLOT.left + (order + 0.5) * group, y: height - 18, class: 'ticklabel', 'text-anchor': 'middle' }, order),
      svg('text', { x: PLOT.left + (order + 0.5) * group, y: height - 4, class: 'ticklabel faint', 'text-anchor': 'middle' }, size(4096 * 2 ** order).replace(' ', '')));
  });
  return picture;
}
function drawBar(picture, { count, x, y, name, order, differs }) {
  if (!count) return;
  const top = y(count), bottom = PLOT.top + PLOT.height;
  picture.append(svg('rect', { x: x + 1, y: top, width: 13, height: Math.max(1, bottom - top), class: `region f-${MIGRATE_FAMILY[name]}` }, svg('title', {}, `order ${order}, ${name}: ${plural(count, 'block')}`)),
    svg('text', { x: x + 7.5, y: top - 4, class: 'barlabel', 'text-anchor': 'middle' }, differs ? `≠${count}` : count));
}

function blockTable(boot, zone, counts, types, differs) {
  const pages = (type) => counts.reduce((sum, row, order) => sum + row[type] * 2 ** order, 0);
  const orders = counts.map((_, order) => order);
  return el('table', { class: 'numbers' }, el('caption', {}, `Free blocks of zone ${zone.name}`),
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'Order'), orders.map((order) => el('th', { scope: 'col' }, order)), el('th', { scope: 'col' }, 'Free'))),
    el('tbody', {}, types.map(([name, type]) => el('tr', {}, el('th', { scope: 'row' }, el('span', { class: `swatch f-${MIGRATE_FAMILY[name]}`, 'aria-hidden': 'true' }), ` ${name}`),
      orders.map((order) => el('td', { class: [differs(order, type) ? 'differs' : '', counts[order][type] ? '' : 'zero'].join(' ').trim() || null },
        differs(order, type) ? el('span', { class: 'mark', title: 'differs' }, '≠ ') : null, counts[order][type])),
      el('td', {}, size(pages(type) * 4096))))));
}
