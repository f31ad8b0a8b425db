// Facts, each with its derivation: a tree of what it was computed from that opens level by level, down to the roots.

const ADDRESS = { pa: 'physical', va: 'virtual' };
const factRows = new Map();

const valueOf = (fact) => `${fact[1]}${fact[2] && fact[2] !== 'text' ? ` ${ADDRESS[fact[2]] || fact[2]}` : ''}`;

function factsSection() {
  const section = byId('facts');
  const text = el('input', { type: 'search', id: 'fact-text', placeholder: 'limit, cma, CONFIG_ …' });
  const only = TWO ? el('input', { type: 'checkbox', id: 'fact-differs' }) : null;
  const count = el('output', { id: 'fact-count', for: 'fact-text', 'aria-live': 'polite' });
  section.append(el('form', { class: 'toolbar', role: 'search', 'aria-label': 'Filter the facts' },
    el('label', { for: 'fact-text' }, 'Name, formula or input'), text, TWO ? el('label', { class: 'check' }, only, ' only differences') : null, count));
  section.querySelector('form').addEventListener('submit', (event) => event.preventDefault());
  const names = [...new Set(D.boots.flatMap((boot) => Object.keys(boot.newest)))];
  const list = el('div', { class: 'factlist' }, TWO ? el('div', { class: 'facthead', 'aria-hidden': 'true' }, el('span', {}), D.boots.map((boot, i) => el('span', {}, el('b', { class: 'letter' }, LETTERS[i]), ` ${boot.name}`))) : null,
    names.map(factRow));
  section.append(list);
  if (TWO) section.append(rootsTable());
  const refresh = () => {
    const wanted = text.value.trim().toLowerCase();
    let shown = 0;
    for (const [, row] of factRows) {
      row.node.hidden = !(row.search.includes(wanted) && (!only || !only.checked || row.differs));
      if (!row.node.hidden) shown++;
    }
    count.textContent = `${shown} of ${plural(factRows.size, 'fact')}`;
  };
  for (const control of [text, only]) if (control) control.addEventListener('input', refresh);
  refresh();
}

function factRow(name) {
  const facts = D.boots.map((boot) => (name in boot.newest ? boot.facts[boot.newest[name]] : null));
  const differs = TWO && D.difference.facts.includes(name);
  const body = el('div', { class: 'derivation panels' });
  const node = el('details', { class: `fact${differs ? ' differs' : ''}`, id: `fact-${name}` },
    el('summary', {}, el('span', { class: 'factname' }, name), facts.map((fact) => el('span', { class: 'factvalue' }, fact ? valueOf(fact) : 'not computed')),
      differs ? el('span', { class: 'mark' }, '≠ differs') : null), body);
  node.addEventListener('toggle', () => {
    if (node.open && !body.firstChild) body.append(...D.boots.map((boot, i) => derivationPanel(boot, i, name)));
  });
  const search = [name, ...facts.filter(Boolean).flatMap((fact) => [fact[1], fact[3], fact[5], ...fact[4].map((input) => input[0])])].join('\n').toLowerCase();
  factRows.set(name, { node, differs, search });
  return node;
}

function derivationPanel(boot, i, name) {
  const panel = el('div', { class: 'panel' });
  if (TWO) panel.append(el('p', { class: 'muted' }, el('b', { class: 'letter', 'aria-hidden': 'true' }, LETTERS[i]), ` ${boot.name}`));
  panel.append(name in boot.newest ? el('ul', { class: 'tree' }, derivationNode(boot, name, boot.newest[name], new Set())) : el('p', {}, 'Not computed in this boot.'));
  return panel;
}

function derivationNode(boot, name, place, above) {
  if (place < 0 || above.has(place)) return rootNode(boot, name);
  const fact = boot.facts[place], path = new Set([...above, place]);
  const head = [el('b', {}, name), ' = ', el('code', {}, valueOf(fact)), el('br', {}), el('span', { class: 'formula' }, fact[3]), ' ', el('span', { class: 'muted' }, fact[5])];
  if (!fact[4].length) return el('li', {}, head);
  const below = el('ul', {});
  const box = el('details', {}, el('summary', {}, head), below);
  box.addEventListener('toggle', () => {
    if (box.open && !below.firstChild) below.append(...fact[4].map(([input, at]) => derivationNode(boot, input, at, path)));
  });
  if (!above.size) box.open = true;
  return el('li', {}, box);
}

function rootNode(boot, name) {
  const root = boot.roots[name];
  return el('li', { class: 'root' }, el('code', {}, name), root ? [' = ', el('code', {}, root[0]), ' ', el('span', { class: 'muted' }, root[1])] : null);
}

function rootsTable() {
  const names = [...new Set(D.boots.flatMap((boot) => Object.keys(boot.roots)))];
  const shown = (boot, name) => (boot.roots[name] ? `${boot.roots[name][0]} (${boot.roots[name][1]})` : 'not used');
  const rows = names.map((name) => ({ cells: [name, ...D.boots.map((boot) => shown(boot, name))], differs: D.difference.roots.includes(name) }));
  rows.sort((a, b) => b.differs - a.differs);
  const box = el('div', {});
  unfolding(box, 'Table: what was decided for each boot (roots)', () => table('Roots: what a person or a build decided', ['Root', ...D.boots.map((boot) => boot.name)], rows));
  return box;
}

// Open a fact and bring it into view; tell whether there is one of that name.
function openFact(name) {
  const row = factRows.get(name);
  if (!row) return false;
  row.node.hidden = false;
  row.node.open = true;
  row.node.scrollIntoView({ block: 'center' });
  row.node.querySelector('summary').focus({ preventScroll: true });
  return true;
}
