// The page-table grid: 64 x 64 first-level words, and 16 x 16 words of a second-level table. Both boots share the cursor.

const CELL = 10, GUTTER = 74, SIDE = 64;
const SUB_CELL = 18, SUB_GUTTER = 74, SUB_SIDE = 16;
const cursor = { at: 0, sub: null, listeners: [], move(at, sub = null) {
  this.at = Math.max(0, Math.min(4095, at));
  this.sub = sub === null ? null : Math.max(0, Math.min(255, sub));
  for (const listener of this.listeners) listener();
} };
const GRID_FAMILIES = [['data', 'section, no execute'], ['code', 'section, executable'], ['ro', 'read only'], ['device', 'device'], ['table', 'second-level table']];

const familyOf = (level, word) => formOf(level, word)[2];

// Cells of the same family that stand side by side in a row, as one rectangle each.
function cellRuns(words, level, side) {
  const found = [];
  for (let row = 0; row < words.length / side; row++) {
    for (let column = 0; column < side;) {
      const family = familyOf(level, words[row * side + column]), from = column;
      while (column < side && familyOf(level, words[row * side + column]) === family) column++;
      if (family !== 'none') found.push([row, from, column - from, family]);
    }
  }
  return found;
}
// A line around the cells that differ: what they are to the eye stays as it is without the other boot.
function differingOutline(words, others, side, cell, gutter) {
  const differs = (row, column) => column >= 0 && column < side && row >= 0 && row * side < words.length
    && words[row * side + column] !== others[row * side + column];
  const lines = [];
  for (let row = 0; row < words.length / side; row++) {
    for (let column = 0; column < side; column++) {
      if (!differs(row, column)) continue;
      const x = gutter + column * cell, y = 1 + row * cell;
      if (!differs(row - 1, column)) lines.push(`M${x} ${y}h${cell}`);
      if (!differs(row + 1, column)) lines.push(`M${x} ${y + cell}h${cell}`);
      if (!differs(row, column - 1)) lines.push(`M${x} ${y}v${cell}`);
      if (!differs(row, column + 1)) lines.push(`M${x + cell} ${y}v${cell}`);
    }
  }
  return lines.join('');
}

// One grid as a picture. `label(row)` names rows; `at` is the cursor or null.
function drawGrid({ words, others, level, side, cell, gutter, title, summary, label, every, at, small = false }) {
  const rows = words.length / side, width = gutter + side * cell + 2, height = rows * cell + 2;
  const id = `grid${drawn++}`;
  const picture = svg('svg', { role: 'img', 'aria-labelledby': `${id}t ${id}d`, viewBox: `0 0 ${width} ${height}`, class: 'grid' },
    svg('title', { id: `${id}t` }, title), svg('desc', { id: `${id}d` }, summary),
    svg('defs', {}, svg('pattern', { id: `${id}p`, width: cell, height: cell, patternUnits: 'userSpaceOnUse', x: gutter, y: 1 },
      svg('path', { d: `M ${cell} 0 H 0 V ${cell}`, class: 'gridline' }))));
  const box = (row, column, length, attributes) => svg('rect', { x: gutter + column * cell, y: 1 + row * cell, width: length * cell, height: cell, ...attributes });
  picture.append(svg('rect', { x: gutter, y: 1, width: side * cell, height: rows * cell, class: 'lane' }));
  for (const [row, column, length, family] of cellRuns(words, level, side)) picture.append(box(row, column, length, { class: `f-${family}` }));
  picture.append(svg('rect', { x: gutter, y: 1, width: side * cell, height: rows * cell, fill: `url(#${id}p)` }));
  if (others) picture.append(svg('path', { d: differingOutline(words, others, side, cell, gutter), class: 'differoutline' }));
  for (let row = 0; row < rows; row += every) {
    picture.append(svg('text', { x: gutter - 6, y: 1 + row * cell + (small ? 17 : cell * 0.85), class: `gridlabel${small ? ' small' : ''}` }, label(row)));
  }
  if (at !== null) picture.append(box(Math.floor(at / side), at % side, 1, { class: 'cursor' }));
  return picture;
}

function cellAt(event, picture, side, cell, gutter, count) {
  const box = picture.getBoundingClientRect(), scale = picture.viewBox.baseVal.width / box.width;
  const column = Math.floor(((event.clientX - box.left) * scale - gutter) / cell);
  const row = Math.floor(((event.clientY - box.top) * scale - 1) / cell);
  const at = row * side + column;
  return column < 0 || column >= side || at < 0 || at >= count ? null : at;
}

function gridKeys(event, at, side, count) {
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -side, ArrowDown: side, PageUp: -side * 8, PageDown: side * 8 };
  if (event.key in steps) return Math.max(0, Math.min(count - 1, at + steps[event.key]));
  if (event.key === 'Home') return event.ctrlKey ? 0 : at - at % side;
  if (event.key === 'End') return event.ctrlKey ? count - 1 : at - at % side + side - 1;
  return null;
}

function pageTables() {
  cursor.at = D.boots[0].page_offset / 2 ** 20;
  const section = byId('tables');
  const field = el('input', { type: 'text', id: 'goto', size: 12, spellcheck: 'false', autocomplete: 'off', placeholder: '0xc0008000' });
  const form = el('form', { class: 'toolbar', role: 'toolbar', 'aria-label': 'Move in the page table' },
    button('Previous run', () => nextRun(-1)), button('Next run', () => nextRun(1)),
    TWO ? button('Next difference', nextDifference) : null,
    el('label', { for: 'goto' }, 'Virtual address'), field, el('button', { type: 'submit' }, 'Go'));
  form.addEventListener('submit', (event) => { event.preventDefault(); goTo(field); });
  section.append(form, legend([...GRID_FAMILIES, ...(TWO ? [['differs', '≠ differs']] : [])]),
    el('p', { class: 'hint', id: 'grid-help' }, 'In the grid: arrow keys move, Page Up and Page Down by eight rows, Enter opens a second-level table, Escape closes it.'));
  const redraw = panels('tables', gridPanel);
  cursor.listeners.push(redraw);
  stage.listeners.push(redraw);
  window.addEventListener('resize', redraw);
}
const words = () => D.boots.map((boot) => firstLevel(stateOf(boot, 'tables')));

function say(at) {
  const text = D.boots.map((boot, i) => `${TWO ? `${LETTERS[i]}: ` : ''}${describe('1', words()[i][at], at)}`).join('; ');
  announce(`Entry ${at}, ${hex(at * 2 ** 20)}: ${text}`);
}
function nextRun(by) {
  const all = words();
  const key = (at) => all.map((w) => familyOf('1', w[at])).join();
  let at = cursor.at;
  do at += by; while (at > 0 && at < 4095 && key(at) === key(cursor.at));
  cursor.move(at);
  say(cursor.at);
}
function nextDifference() {
  const [a, b] = words();
  for (let n = 1; n <= 4096; n++) {
    const at = (cursor.at + n) % 4096;
    if (a[at] !== b[at] && (n > 1 || a[cursor.at] === b[cursor.at] || a[at] - a[at - 1] !== 0)) { cursor.move(at); say(at); return; }
  }
  announce('The first-level tables do not differ at this stage');
}
function goTo(field) {
  const text = field.value.trim();
  const va = /^(0x)?[0-9a-f]{1,8}$/i.test(text) ? parseInt(text.replace(/^0x/i, ''), 16) : NaN;
  field.setAttribute('aria-invalid', Number.isNaN(va));
  if (Number.isNaN(va)) { announce(`${text || 'Nothing'} is not a virtual address of up to eight hex digits`); return; }
  const at = Math.floor(va / 2 ** 20);
  const isTable = words().some((w) => (w[at] & 3) === 1);
  cursor.move(at, isTable ? Math.floor(va / 4096) % 256 : null);
  say(at);
}

function gridPanel(panel, boot, i) {
  const box = el('div', { class: 'gridbox', tabindex: '0', role: 'application', 'aria-roledescription': 'page table grid', 'aria-describedby': 'grid-help',
    'aria-label': `First-level page table${TWO ? ` of ${boot.name}` : ''}, 4096 entries` });
  const sub = el('div', { class: 'gridbox sub', tabindex: '0', role: 'application', 'aria-roledescription': 'page table grid', 'aria-describedby': 'grid-help' });
  const text = el('div', { class: 'entry' }), subText = el('div', { class: 'entry' });
  const side = el('div', { class: 'gridside' }, text, sub, subText);
  panel.append(el('div', { class: 'gridpair' }, box, side));
  const open = () => {
    const word = words()[i][cursor.at];
    if ((word & 3) !== 1) return;
    cursor.move(cursor.at, cursor.sub || 0);
    sub.focus();
    announce(`Second-level table of ${hex(cursor.at * 2 ** 20)}, 256 entries of 4 KiB`);
  };
  box.addEventListener('click', (event) => {
    const at = cellAt(event, box.firstChild, SIDE, CELL, GUTTER, 4096);
    if (at === null) return;
    cursor.move(at, (words()[i][at] & 3) === 1 ? 0 : null);
    say(at);
  });
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); open(); return; }
    if (event.key === 'Escape') { cursor.move(cursor.at); return; }
    const at = gridKeys(event, cursor.at, SIDE, 4096);
    if (at !== null) { event.preventDefault(); cursor.move(at); say(at); }
  });
  sub.addEventListener('click', (event) => {
    const at = cellAt(event, sub.firstChild, SUB_SIDE, SUB_CELL, SUB_GUTTER, 256);
    if (at !== null) { cursor.move(cursor.at, at); saySub(boot, at); }
  });
  sub.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') { event.preventDefault(); cursor.move(cursor.at); box.focus(); return; }
    const at = gridKeys(event, cursor.sub || 0, SUB_SIDE, 256);
    if (at !== null) { event.preventDefault(); cursor.move(cursor.at, at); saySub(boot, at); }
  });
  const rowsTable = unfolding(panel, 'Table: runs of first-level words', () => runsTable(boot, i));
  return () => { drawFirst(box, text, boot, i); drawSecond(sub, subText, boot, i); rowsTable(); };
}

function saySub(boot, at) {
  const tables = stateOf(boot, 'tables'), found = tables && secondLevel(boot, tables, firstLevel(tables)[cursor.at]);
  if (found) announce(`${hex(cursor.at * 2 ** 20 + at * 4096)}: ${describe('2', found.hardware[at], at)}`);
}

function drawFirst(box, text, boot, i) {
  const tables = stateOf(boot, 'tables'), mine = firstLevel(tables), mapped = mine.filter((word) => word & 3).length;
  const small = box.clientWidth > 0 && box.clientWidth < 480;
  box.replaceChildren(drawGrid({ words: mine, others: TWO ? words()[1 - i] : null, level: '1', side: SIDE, cell: CELL, gutter: GUTTER, at: cursor.at, every: 4, small,
    title: `First-level page table${TWO ? ` of ${boot.name}` : ''}`, summary: `${mapped} of 4096 entries are in use. The table of runs below has them all.`,
    label: (row) => (small ? hex(row * SIDE * 2 ** 20).slice(0, 4) : hex(row * SIDE * 2 ** 20)) }));
  const at = cursor.at, word = mine[at];
  text.replaceChildren(el('h4', {}, `Entry ${at}: ${span(at * 2 ** 20, (at + 1) * 2 ** 20)}`),
    tables ? el('p', { class: 'muted' }, `word at ${hex(tables.pgd + at * 4)} (physical), area ${areaOf(boot, at * 2 ** 20) || 'user space or none'}`) : el('p', { class: 'muted' }, 'no page table yet'),
    el('p', { class: 'wordline' }, el('code', {}, hex(word)), ` ${describe('1', word, at)}`,
      TWO && words()[1 - i][at] !== word ? el('span', { class: 'mark' }, ' ≠ differs') : null),
    fieldsOf('1', word));
}

function fieldsOf(level, word) {
  const fields = formOf(level, word)[3];
  if (!fields.length) return el('span', {});
  return el('details', {}, el('summary', {}, 'Bits'), el('table', { class: 'bits' },
    el('caption', { class: 'hidden' }, `Fields of ${hex(word)}`),
    el('thead', {}, el('tr', {}, ['Bits', 'Field', 'Value', 'Meaning'].map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, fields.map(([bits, name, value, meaning]) => el('tr', {}, el('td', {}, bits), el('th', { scope: 'row' }, name), el('td', {}, hex(value, 1)), el('td', {}, meaning))))));
}

function drawSecond(box, text, boot, i) {
  const tables = stateOf(boot, 'tables'), mine = firstLevel(tables);
  const found = cursor.sub !== null && tables ? secondLevel(boot, tables, mine[cursor.at]) : null;
  box.hidden = text.hidden = !found || (mine[cursor.at] & 3) !== 1;
  if (box.hidden) return;
  const start = cursor.at * 2 ** 20, at = cursor.sub, word = found.hardware[at];
  box.setAttribute('aria-label', `Second-level table of ${hex(start)}${TWO ? `, ${boot.name}` : ''}, 256 entries`);
  box.replaceChildren(drawGrid({ words: found.hardware, others: TWO ? otherSecond(i) : null, level: '2', side: SUB_SIDE, cell: SUB_CELL, gutter: SUB_GUTTER, at, every: 1,
    title: `Second-level table of ${hex(start)}`, summary: `${found.hardware.filter((w) => w & 3).length} of 256 pages are mapped.`,
    label: (row) => hex(start + row * SUB_SIDE * 4096) }));
  text.replaceChildren(el('h4', {}, `Page ${at}: ${span(start + at * 4096, start + (at + 1) * 4096)}`),
    el('p', { class: 'muted' }, `word at ${hex(found.base + at * 4)} (physical)`),
    el('p', { class: 'wordline' }, el('code', {}, hex(word)), ` ${describe('2', word, at)}`), fieldsOf('2', word),
    found.linux ? el('p', { class: 'wordline' }, 'Linux’s own entry: ', el('code', {}, hex(found.linux[at]))) : null,
    found.linux ? fieldsOf('L', found.linux[at]) : null);
}
function otherSecond(i) {
  const boot = other(i), tables = stateOf(boot, 'tables'), word = firstLevel(tables)[cursor.at];
  const found = tables && (word & 3) === 1 ? secondLevel(boot, tables, word) : null;
  return found ? found.hardware : new Uint32Array(256);
}

function runsTable(boot, i) {
  const tables = stateOf(boot, 'tables'), theirs = TWO ? keysOf((stateOf(other(i), 'tables') || {}).runs) : null;
  const before = keysOf((stateBefore(boot, 'tables') || {}).runs);
  return table('First-level words in runs; all other words are zero', ['Entries', 'Virtual addresses', 'First word', 'Last word', 'Meaning'],
    (tables ? tables.runs : []).map((run) => {
      const [first, count, word, step] = run;
      return { cells: [button(count === 1 ? `${first}` : `${first}–${first + count - 1}`, () => { cursor.move(first, (word & 3) === 1 ? 0 : null); say(first); }, { class: 'link' }),
        span(first * 2 ** 20, (first + count) * 2 ** 20), hex(word), hex(word + step * (count - 1)), describe('1', word, first)],
      differs: TWO && !theirs.has(keyOf(run)), fresh: !before.has(keyOf(run)) };
    }));
}
