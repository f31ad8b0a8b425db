// The log, with a filter; a line is a button that moves the slider. Lines of two boots stand side by side, aligned by step.

const LEVEL_NAMES = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'];

function logSection() {
  const section = byId('log');
  const text = el('input', { type: 'search', id: 'log-text', placeholder: 'cma, mem_init …' });
  const level = el('select', { id: 'log-level' }, [[7, 'all levels'], [6, 'info or worse'], [5, 'notice or worse'], [4, 'warnings or worse'], [3, 'errors or worse']]
    .map(([value, name]) => el('option', { value }, name)));
  const when = el('select', { id: 'log-stage' }, [['all', 'all stages'], ['past', 'up to the slider'], ['now', 'of the slider’s stage'], ...D.stages.map(([name], n) => [n, name])]
    .map(([value, name]) => el('option', { value }, name)));
  const steps = el('input', { type: 'checkbox', id: 'log-steps', checked: true });
  const only = TWO ? el('input', { type: 'checkbox', id: 'log-differs' }) : null;
  const count = el('output', { id: 'log-count', for: 'log-text log-level log-stage', 'aria-live': 'polite' });
  const pair = (name, control) => el('span', { class: 'pair' }, el('label', { for: control.id }, name), control);
  section.append(el('form', { class: 'toolbar', role: 'search', 'aria-label': 'Filter the log' },
    pair('Text', text), pair('Level', level), pair('Stage', when),
    el('label', { class: 'check' }, steps, ' bootsim’s own lines'), TWO ? el('label', { class: 'check' }, only, ' only differences') : null, count),
  el('p', { class: 'hint' }, `In the log: up and down arrows move between lines${TWO ? ', left and right between boots' : ''}, Enter moves the slider. Lines not yet said at the slider’s stage are grey.`));
  section.querySelector('form').addEventListener('submit', (event) => event.preventDefault());
  const rows = logRows();
  const list = el('div', { id: 'log-lines', class: 'loglines', role: 'region', 'aria-label': 'Lines of the log' }, TWO
    ? el('div', { class: 'logrow loghead' }, D.boots.map((boot, i) => el('div', {}, el('b', { class: 'letter' }, LETTERS[i]), ` ${boot.name}`))) : null,
  el('ol', {}, rows.map((row) => row.node)));
  section.append(list);
  const refresh = () => filterLog(rows, { text: text.value, level: Number(level.value), when: when.value, steps: steps.checked, only: only && only.checked }, count);
  for (const control of [text, level, when, steps, only]) if (control) control.addEventListener('input', refresh);
  list.addEventListener('keydown', logKeys);
  stage.listeners.push(() => { refresh(); showCurrent(list); });
}

// Bring the lines of the slider's stage into view, inside the list alone, unless the person is in it.
function showCurrent(list) {
  const line = list.querySelector('li:not([hidden]) .now');
  if (line && !list.contains(document.activeElement)) list.scrollTop += line.getBoundingClientRect().top - list.getBoundingClientRect().top - 48;
}

function logRows() {
  const pairs = TWO ? D.difference.log : D.boots[0].log.map((_, i) => [i]);
  const rows = pairs.map((pair) => {
    const lines = TWO ? [pair[0], pair[1]] : [pair[0]];
    const kind = TWO ? pair[2] : 'same';
    const buttons = lines.map((line, i) => (line < 0 ? null : lineButton(D.boots[i].log[line], kind, TWO ? pair[3 + i] : null)));
    const node = el('li', { class: `logrow ${kind === 'same' ? 'same' : 'differs'}` }, buttons.map((made, i) => made || el('span', { class: 'absent' }, `no such line in ${LETTERS[i]}`)));
    return { node, kind, buttons, lines: lines.map((line, i) => (line < 0 ? null : D.boots[i].log[line])) };
  });
  const first = rows[0] && rows[0].buttons.find(Boolean);
  if (first) first.tabIndex = 0;
  return rows;
}
const KIND_MARKS = { changed: '≠ ', moved: '↕ ', removed: '− ', added: '+ ' };
const KIND_WORDS = { changed: 'differs: ', moved: 'in another place: ', removed: 'only here: ', added: 'only here: ' };

function lineButton([level, at, func, text, kernel], kind, pieces) {
  const said = pieces ? pieces.map((piece, n) => (n % 2 ? el('mark', {}, piece) : piece)) : [text];
  const made = el('button', { type: 'button', tabindex: '-1', class: `line l${level}${kernel ? '' : ' step'}`, title: `${func}(), level ${LEVEL_NAMES[level]}, before ${D.stages[at][0]}` },
    KIND_MARKS[kind] ? el('span', { class: 'mark' }, el('span', { 'aria-hidden': 'true' }, KIND_MARKS[kind]), el('span', { class: 'hidden' }, KIND_WORDS[kind])) : null,
    level <= 4 ? el('span', { class: 'level' }, `${LEVEL_NAMES[level]} `) : null, said);
  made.addEventListener('click', () => { focusLine(made); setStage(at); });
  return made;
}

function filterLog(rows, { text, level, when, steps, only }, count) {
  const wanted = text.trim().toLowerCase();
  const limit = when === 'past' || when === 'now' ? stage.at : Number(when);
  const fits = (line) => line && line[0] <= level && (steps || line[4])
    && (when === 'all' || (when === 'past' ? line[1] <= limit : line[1] === limit))
    && (!wanted || line[3].toLowerCase().includes(wanted) || line[2].toLowerCase().includes(wanted));
  let shown = 0;
  for (const row of rows) {
    const visible = row.lines.some(fits) && !(only && row.kind === 'same');
    row.node.hidden = !visible;
    if (visible) shown++;
    row.buttons.forEach((made, i) => {
      if (!made) return;
      made.classList.toggle('later', row.lines[i][1] > stage.at);
      made.classList.toggle('now', row.lines[i][1] === stage.at);
    });
  }
  count.textContent = `${shown} of ${plural(rows.length, TWO ? 'step' : 'line')}`;
  const visible = rows.filter((row) => !row.node.hidden).flatMap((row) => row.buttons.filter(Boolean));
  if (visible.length && !visible.some((made) => made.tabIndex === 0)) focusLine(visible[0]);
}

function focusLine(made) {
  document.querySelectorAll('#log-lines button[tabindex="0"]').forEach((old) => { old.tabIndex = -1; });
  made.tabIndex = 0;
}
function logKeys(event) {
  const here = event.target.closest('button.line');
  if (!here) return;
  const row = here.parentNode, column = [...row.children].indexOf(here);
  const rows = [...row.parentNode.children].filter((each) => !each.hidden);
  const at = rows.indexOf(row);
  const targets = { ArrowUp: rows[at - 1], ArrowDown: rows[at + 1], Home: rows[0], End: rows[rows.length - 1], ArrowLeft: row, ArrowRight: row };
  const target = targets[event.key];
  if (!(event.key in targets)) return;
  event.preventDefault();
  if (!target) return;
  const wanted = event.key === 'ArrowLeft' ? 0 : event.key === 'ArrowRight' ? 1 : column;
  const next = target.children[wanted];
  const found = next && next.matches('button') ? next : target.querySelector('button');
  focusLine(found);
  found.focus();
}
