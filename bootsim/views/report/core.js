// The page's data, elements made short, numbers as people read them, and the stage that everything shows.

const D = JSON.parse(document.getElementById('data').textContent);
const TWO = D.boots.length === 2;
const LETTERS = ['A', 'B'];
const SVG_NS = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ''));
  return node;
}
const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG_NS, tag), attributes, children);
const byId = (id) => document.getElementById(id);

const hex = (value, digits = 8) => '0x' + value.toString(16).padStart(digits, '0');
const span = (start, end) => `${hex(start)}–${hex(end - 1)}`;
function size(bytes) {
  for (const [unit, name] of [[2 ** 30, 'GiB'], [2 ** 20, 'MiB'], [2 ** 10, 'KiB']]) {
    if (bytes >= unit) {
      const value = bytes / unit;
      return `${value % 1 === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${name}`;
    }
  }
  return `${bytes} B`;
}
const plural = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

function announce(text) { byId('announce').textContent = text; }

// ---- the stage

const stage = { at: D.stages.length - 1, listeners: [] };
const stepOf = (boot) => boot.steps[stage.at];
const stateOf = (boot, part) => {
  const place = stepOf(boot)[part];
  return place === null ? null : boot[part][place];
};
function stateBefore(boot, part) {
  if (stage.at === 0) return null;
  const place = boot.steps[stage.at - 1][part];
  return place === null ? null : boot[part][place];
}
const PART_NAMES = { memblock: 'memblock', tables: 'page tables', zones: 'zones and free blocks', areas: 'CMA areas' };

function setStage(at, { quiet = false } = {}) {
  stage.at = Math.max(0, Math.min(D.stages.length - 1, at));
  const [name, about] = D.stages[stage.at];
  const slider = byId('stage');
  slider.value = stage.at;
  slider.setAttribute('aria-valuetext', `${name}: ${about}`);
  byId('stage-name').textContent = name;
  byId('stage-count').textContent = `${stage.at + 1} of ${D.stages.length}`;
  byId('stage-about').textContent = about;
  byId('stage-prev').disabled = stage.at === 0;
  byId('stage-next').disabled = stage.at === D.stages.length - 1;
  if (TWO) showDifferingParts();
  for (const listener of stage.listeners) listener();
  if (!quiet) {
    history.replaceState(null, '', `#stage=${encodeURIComponent(name)}`);
    announce(`Stage ${name}: ${about}`);
  }
}

function showDifferingParts() {
  const parts = D.difference.stages[stage.at].map((part) => PART_NAMES[part]);
  const where = byId('stage-differs');
  where.className = parts.length ? 'mark' : '';
  where.textContent = parts.length ? `≠ differ: ${parts.join(', ')}` : 'no difference in state here';
  const died = D.boots.filter((boot) => !stepOf(boot).reached).map((boot) => boot.name);
  if (died.length) where.textContent += ` (not reached by ${died.join(' and ')}: its last state is shown)`;
}

function setUpStageBar() {
  byId('stagebar').hidden = false;
  byId('stage').addEventListener('input', (event) => { stop(); setStage(Number(event.target.value)); });
  byId('stage-prev').addEventListener('click', () => { stop(); setStage(stage.at - 1); });
  byId('stage-next').addEventListener('click', () => { stop(); setStage(stage.at + 1); });
  const play = byId('stage-play');
  let timer = null;
  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = 'Play';
    play.setAttribute('aria-pressed', 'false');
  }
  play.addEventListener('click', () => {
    if (timer !== null) { stop(); return; }
    play.textContent = 'Stop';
    play.setAttribute('aria-pressed', 'true');
    setStage(stage.at === D.stages.length - 1 ? 0 : stage.at + 1);
    timer = setInterval(() => {
      if (stage.at === D.stages.length - 1) stop(); else setStage(stage.at + 1);
    }, 1000);
  });
}

// ---- parts of a section

// A panel for each boot, side by side; `make(panel, boot, i)` fills it and returns what redraws it.
function panels(section, make) {
  const row = el('div', { class: 'panels' });
  byId(section).append(row);
  const redraws = D.boots.map((boot, i) => {
    const panel = el('div', { class: 'panel' });
    if (TWO) panel.append(el('h3', {}, el('b', { class: 'letter', 'aria-hidden': 'true' }, LETTERS[i]), ` ${boot.name}`));
    row.append(panel);
    return make(panel, boot, i);
  });
  return () => redraws.forEach((redraw) => redraw());
}
const other = (i) => (TWO ? D.boots[1 - i] : null);

// A table with a caption. A row is {cells, differs?, fresh?, id?}; marks stand in a column of their own. On a phone its
// rows stack, which takes its roles from it: they are told.
function table(caption, heads, rows) {
  const marked = TWO || rows.some((row) => row.fresh);
  return el('table', { class: 'stacks', role: 'table' },
    el('caption', {}, caption),
    el('thead', { role: 'rowgroup' }, el('tr', { role: 'row' }, [...heads, ...(marked ? ['Mark'] : [])].map((head) => el('th', { scope: 'col', role: 'columnheader' }, head)))),
    el('tbody', { role: 'rowgroup' }, rows.map((row) => el('tr',
      { role: 'row', class: [row.differs ? 'differs' : '', row.fresh ? 'fresh' : ''].join(' ').trim() || null },
      row.cells.map((cell, i) => el(i === 0 ? 'th' : 'td', i === 0 ? { scope: 'row', role: 'rowheader' } : { role: 'cell' }, cell)),
      marked ? el('td', { role: 'cell' }, marks(row)) : null))));
}
function marks(row) {
  return [row.differs ? el('span', { class: 'mark' }, '≠ differs') : null, row.differs && row.fresh ? ' ' : null,
    row.fresh ? el('span', { class: 'new' }, '+ new') : null];
}

// Something that opens: a table behind a picture. `draw()` makes its content when it is open.
function unfolding(panel, label, draw, open = false) {
  const body = el('div', { class: 'scroll', role: 'region', 'aria-label': label, tabindex: '0' });
  const box = el('details', { open }, el('summary', {}, label), body);
  panel.append(box);
  const redraw = () => { if (box.open) body.replaceChildren(draw()); };
  box.addEventListener('toggle', redraw);
  return redraw;
}

function button(text, action, attributes) {
  const made = el('button', { type: 'button', ...attributes }, text);
  made.addEventListener('click', action);
  return made;
}

function legend(entries) {
  return el('ul', { class: 'legend', 'aria-label': 'Legend' },
    entries.map(([name, text]) => el('li', {}, el('span', { class: `swatch f-${name}`, 'aria-hidden': 'true' }), text)));
}
