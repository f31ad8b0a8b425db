// Page-table words: runs laid out, and words looked up in their decoded forms.

const wordCache = new Map();
function layOut(runs, count) {
  if (wordCache.has(runs)) return wordCache.get(runs);
  const words = new Uint32Array(count);
  for (const [first, length, word, step] of runs) {
    for (let i = 0; i < length; i++) words[first + i] = word + i * step;
  }
  wordCache.set(runs, words);
  return words;
}
const firstLevel = (tables) => (tables ? layOut(tables.runs, 4096) : new Uint32Array(4096));

const FAULT = ['fault', '', 'none', []];
function formOf(level, word) {
  let mask = 0xfff;
  if (level === '1') mask = (word & 3) === 1 ? 0x3ff : 0xfffff;
  else if (level === '2' && (word & 3) === 1) mask = 0xffff;
  return word ? D.meanings.forms[`${level}:${(word & mask).toString(16)}`] || FAULT : FAULT;
}

function targetOf(level, word, index) {
  if (level === '1') {
    if ((word & 3) === 1) return (word & 0xfffffc00) >>> 0;
    if (word & 0x40000) return ((word & 0xff000000) >>> 0) + (index & 15) * 0x100000;
    return (word & 0xfff00000) >>> 0;
  }
  if ((word & 3) === 1) return ((word & 0xffff0000) >>> 0) + (index & 15) * 0x1000;
  return (word & 0xfffff000) >>> 0;
}

// The 256 hardware words of the second-level table a first-level word points to, and Linux's words for them.
function secondLevel(boot, tables, word) {
  const base = targetOf('1', word, 0);
  const place = tables.pages[String((base & 0xfffff000) >>> 0)];
  if (place === undefined) return null;
  const page = layOut(boot.l2[place], 1024);
  const first = (base & 0xfff) >>> 2;
  return { base, hardware: page.subarray(first, first + 256), linux: first >= 512 ? page.subarray(first - 512, first - 256) : null };
}

function describe(level, word, index) {
  if (!word) return 'not mapped';
  const [kind, attributes] = formOf(level, word);
  if (kind === 'fault') return `fault, word ${hex(word)}`;
  const what = kind === 'table' ? 'second-level table at' : `${kind} →`;
  return `${what} ${hex(targetOf(level, word, index))}${attributes ? ` ${attributes}` : ''}`;
}
