// A map of addresses: lanes of regions over one axis, to scale, with a window that zooms. Both boots share the window.

class Window {
  constructor(full, home, presets) {
    Object.assign(this, { full, home, presets, listeners: [] });
    [this.lo, this.hi] = home;
  }
  show(lo, hi) {
    const least = 4096 * 4;
    let width = Math.max(least, hi - lo);
    width = Math.min(width, this.full[1] - this.full[0]);
    this.lo = Math.max(this.full[0], Math.min(lo - Math.max(0, least - (hi - lo)) / 2, this.full[1] - width));
    this.lo = Math.floor(this.lo / 4096) * 4096;
    this.hi = this.lo + width;
    for (const listener of this.listeners) listener();
  }
  zoom(factor) {
    const middle = (this.lo + this.hi) / 2, half = (this.hi - this.lo) * factor / 2;
    this.show(middle - half, middle + half);
  }
  pan(part) {
    const by = (this.hi - this.lo) * part;
    this.show(this.lo + by, this.hi + by);
  }
  around(start, end) {
    const margin = (end - start) / 2;
    this.show(start - margin, end + margin);
  }
}

function windowBar(window, what) {
  const where = el('output', { class: 'where', 'aria-live': 'off' });
  const said = (action) => () => { action(); announce(`Showing ${span(window.lo, window.hi)}`); };
  const bar = el('div', { class: 'toolbar', role: 'toolbar', 'aria-label': `Window of the ${what} map` },
    button('−', said(() => window.zoom(2)), { 'aria-label': 'Zoom out' }),
    button('+', said(() => window.zoom(0.5)), { 'aria-label': 'Zoom in' }),
    button('◀', said(() => window.pan(-0.5)), { 'aria-label': 'Lower addresses' }),
    button('▶', said(() => window.pan(0.5)), { 'aria-label': 'Higher addresses' }),
    window.presets.map(([name, lo, hi]) => button(name, said(() => window.show(lo, hi)))),
    where);
  const tell = () => { where.textContent = `${span(window.lo, window.hi)}  (${size(window.hi - window.lo)})`; };
  window.listeners.push(tell);
  tell();
  return bar;
}

const LANE = 42, LABEL = 14, BAR = 22, AXIS = 30;
let drawn = 0;

// `lanes()` gives [{label, regions: [{start, end, family, text, about, fresh?, differs?}]}]; `lines()` [[address, text]].
function laneMap(panel, window, title, lanes, lines) {
  const box = el('div', { class: 'lanes' });
  const detail = el('div', { class: 'detail' });
  panel.append(box, detail);
  let width = 0;
  const choose = (region) => {
    detail.replaceChildren(el('span', { class: `swatch f-${region.family}`, 'aria-hidden': 'true' }), ` ${region.about} `,
      button('Zoom to it', () => window.around(region.start, region.end)));
    announce(region.about);
  };
  const draw = () => {
    width = Math.max(260, box.clientWidth);
    box.replaceChildren(drawLanes(lanes(), lines(), window, width, title, choose));
  };
  detail.append(el('span', { class: 'muted' }, 'Click on a region to see whose it is.'));
  new ResizeObserver(() => { if (Math.abs(box.clientWidth - width) > 1) draw(); }).observe(box);
  window.listeners.push(draw);
  return draw;
}

function drawLanes(lanes, lines, window, width, title, choose) {
  const height = lanes.length * LANE + AXIS + 14, id = `map${drawn++}`;
  const x = (address) => (address - window.lo) / (window.hi - window.lo) * width;
  const picture = svg('svg', { role: 'img', 'aria-labelledby': `${id}t ${id}d`, width, height, viewBox: `0 0 ${width} ${height}` },
    svg('title', { id: `${id}t` }, title),
    svg('desc', { id: `${id}d` }, summary(lanes)));
  lanes.forEach((lane, i) => drawLane(picture, lane, 12 + i * LANE, x, width, choose));
  drawAxis(picture, window, width, height, x);
  drawLines(picture, lines, x, width, height);
  lanes.forEach((lane, i) => picture.append(svg('text', { x: 0, y: 22 + i * LANE, class: 'lanelabel' }, lane.label)));
  return picture;
}

function summary(lanes) {
  return lanes.map((lane) => {
    const total = lane.regions.reduce((sum, region) => sum + region.end - region.start, 0);
    return `${lane.label}: ${plural(lane.regions.length, 'region')}, ${size(total)}`;
  }).join('. ') + '. The table below has every region.';
}

function drawLane(picture, lane, top, x, width, choose) {
  const y = top + LABEL;
  picture.append(svg('rect', { x: 0, y, width, height: BAR, class: 'lane' }));
  for (const region of lane.regions) {
    const from = Math.max(0, x(region.start)), to = Math.min(width, x(region.end));
    if (to < 0 || from > width || x(region.end) < 0 || x(region.start) > width) continue;
    const wide = Math.max(2, to - from);
    const left = Math.min(from, width - wide);
    const shape = svg('rect', { x: left, y, width: wide, height: BAR, class: `region f-${region.family}${region.fresh ? ' fresh' : ''}` },
      svg('title', {}, region.about));
    shape.addEventListener('click', () => choose(region));
    picture.append(shape);
    if (region.differs) picture.append(svg('rect', { x: left, y: y + BAR, width: wide, height: 4, class: 'differing' }));
    const text = [region.text, region.short].find((label) => label && wide > label.length * 6.6 + 8);
    if (text) picture.append(svg('text', { x: left + wide / 2, y: y + 15, class: 'regionlabel' }, text));
  }
}

function drawAxis(picture, window, width, height, x) {
  const y = height - AXIS;
  let step = 4096;
  while ((window.hi - window.lo) / step * 92 > width) step *= 2;
  for (let at = Math.ceil(window.lo / step) * step; at <= window.hi; at += step) {
    const left = x(at);
    picture.append(svg('line', { x1: left, x2: left, y1: y - 4, y2: y + 5, class: 'axistick' }));
    const anchor = left < 36 ? 'start' : left > width - 36 ? 'end' : 'middle';
    if (at < 2 ** 32) picture.append(svg('text', { x: Math.max(0, Math.min(width, left)), y: y + 17, class: 'ticklabel', 'text-anchor': anchor }, hex(at)));
  }
}

function drawLines(picture, lines, x, width, height) {
  for (const [address, text] of lines) {
    const left = x(address);
    if (left < 0 || left > width) continue;
    picture.append(svg('line', { x1: left, x2: left, y1: 10, y2: height - AXIS, class: 'limit' }),
      svg('text', { x: left > width / 2 ? left - 5 : left + 5, y: 9, class: 'limitlabel', 'text-anchor': left > width / 2 ? 'end' : 'start' }, text));
  }
}
