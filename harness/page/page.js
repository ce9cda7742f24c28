'use strict';
// The picture of one history. The data is columns (harness/history_page.h); only what is visible is drawn.

const data = JSON.parse(document.getElementById('data').textContent);
const get = id => document.getElementById(id);
const canvas = get('canvas');
const pen = canvas.getContext('2d');
const count = data.client.length;
const kGutter = 110, kRow = 26, kBox = 18, kTop = 22;

// --- what each operation is ---

const label = i => data.labels[data.label[i]];
const place = new Int32Array(count).fill(-1);   // in the linearization
data.order.forEach((operation, at) => { place[operation] = at; });
const marked = new Uint8Array(count);           // 1: of the heart, 2: failing
for (const i of data.heart) marked[i] = 1;
for (const i of data.failing) marked[i] = 2;
const refuted = data.failing.length !== 0;
let matches = [], match = -1;
let matching = new Uint8Array(count);

// --- the axes: where each operation begins and ends ---

function realAxis() {
  const begin = Float64Array.from(data.call);
  let last = 1;
  for (let i = 0; i < count; ++i) last = Math.max(last, data.call[i], data.ret[i] === null ? 0 : data.ret[i]);
  const end = Float64Array.from(data.ret, it => it === null ? Infinity : it);
  return {begin, end, last: last * 1.02 + 1, unit: data.unit};
}

function rankAxis() {
  const times = new Set(data.call);
  for (const it of data.ret) if (it !== null) times.add(it);
  const sorted = Float64Array.from(times).sort();
  const rank = new Map();
  sorted.forEach((time, at) => rank.set(time, at));
  const begin = Float64Array.from(data.call, it => rank.get(it));
  const end = Float64Array.from(data.ret, it => it === null ? Infinity : rank.get(it));
  return {begin, end, last: sorted.length + 1, unit: 'events'};
}

function versionAxis() {
  const begin = new Float64Array(count), end = new Float64Array(count);
  let last = 1;
  for (let i = 0; i < count; ++i) {
    const version = data.version[i];
    begin[i] = version === null ? NaN : version;
    end[i] = version === null ? NaN : version + 0.9;
    if (version !== null) last = Math.max(last, version + 1);
  }
  return {begin, end, last, unit: 'versions'};
}

const makers = {real: realAxis, rank: rankAxis, version: versionAxis};
const axes = {};
let axis = null;

// --- the rows: of each client that is shown, its operations in the order of the axis ---

let rows = [];
let rowOf = new Int32Array(data.clients.length);

function layOut() {
  const name = get('axis').value;
  axis = axes[name] = axes[name] || makers[name]();
  const key = get('key').value, client = get('client').value;
  const lists = data.clients.map(() => []);
  for (let i = 0; i < count; ++i) {
    if (Number.isNaN(axis.begin[i])) continue;
    if (key !== '' && data.key[i] !== Number(key)) continue;
    if (client !== '' && data.client[i] !== Number(client)) continue;
    lists[data.client[i]].push(i);
  }
  rowOf.fill(-1);
  rows = [];
  lists.forEach((list, at) => {
    if (list.length === 0) return;
    list.sort((a, b) => axis.begin[a] - axis.begin[b] || a - b);
    rowOf[at] = rows.length;
    rows.push({client: at, list});
  });
  status.shown = rows.reduce((sum, row) => sum + row.list.length, 0);
}

// --- the view ---

const view = {from: 0, span: 1, top: 0};
const status = {shown: 0, drawn: 0, milliseconds: 0};
const width = () => canvas.clientWidth - kGutter;   // asks the browser, so toX() goes by what paint() saw
let wide = 1, high = 1;
const toX = time => kGutter + (time - view.from) / view.span * (wide - kGutter);
const toTime = x => view.from + (x - kGutter) / width() * view.span;

function clamp() {
  view.span = Math.min(Math.max(view.span, axis.last / 1e7, 1e-6), axis.last * 1.2);
  view.from = Math.min(Math.max(view.from, -view.span * 0.5), axis.last - view.span * 0.2);
  const most = Math.max(0, rows.length * kRow + kTop + 10 - canvas.clientHeight);
  view.top = Math.min(Math.max(view.top, 0), most);
}

function fit() {
  view.from = -axis.last * 0.01;
  view.span = axis.last * 1.04;
  view.top = 0;
  draw();
}

function goTo(i) {
  if (rowOf[data.client[i]] < 0) { get('key').value = ''; get('client').value = ''; layOut(); }
  const begin = axis.begin[i], end = Number.isFinite(axis.end[i]) ? axis.end[i] : begin;
  if (Number.isNaN(begin)) return;
  const typical = axis.last / Math.max(1, count) * 16;
  view.span = Math.min(Math.max(view.span > axis.last * 0.5 ? typical : view.span, (end - begin) * 3, typical / 20), axis.last * 1.04);
  view.from = (begin + end) / 2 - view.span / 2;
  view.top = rowOf[data.client[i]] * kRow - canvas.clientHeight / 2;
  draw();
}

function zoom(factor, x) {
  const time = toTime(x);
  view.span *= factor;
  clamp();
  view.from = time - (x - kGutter) / width() * view.span;
  draw();
}

// --- drawing: once a frame, and only what is visible ---

let asked = false;
function draw() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => { asked = false; paint(); });
}

let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ['ground', 'ink', 'faint', 'line', 'box', 'edge', 'fail', 'open', 'bad', 'heart', 'match', 'grey', 'path'])
    colours[name] = style.getPropertyValue('--' + name).trim();
}

/// The first operation of the row that may reach into the view: a client has one open at a time, so ends are in order, too.
function firstVisible(list, from) {
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    axis.begin[list[middle]] < from ? low = middle + 1 : high = middle;
  }
  return Math.max(0, low - 1);
}

function fillOf(i) {
  if (matching[i]) return colours.match;
  if (marked[i] === 2) return colours.bad;
  if (marked[i] === 1) return colours.heart;
  if (refuted && data.order.length !== 0 && place[i] < 0) return colours.grey;
  return data.outcome[i] === 0 ? colours.box : data.outcome[i] === 1 ? colours.fail : colours.open;
}

function paintRow(row, y) {
  const until = view.from + view.span;
  let painted = kGutter - 1;
  let run = {fill: '', left: 0, right: 0};
  const flush = () => {
    if (run.fill === '') return;
    pen.fillStyle = run.fill;
    pen.fillRect(run.left, y, run.right - run.left, kBox);
    run = {fill: '', left: 0, right: 0};
  };
  for (let at = firstVisible(row.list, view.from); at < row.list.length; ++at) {
    const i = row.list[at];
    if (axis.begin[i] > until) break;
    const left = Math.max(toX(axis.begin[i]), kGutter - 4);
    const right = Math.min(toX(Math.min(axis.end[i], axis.last)), wide + 4);
    if (right < kGutter) continue;
    const special = marked[i] !== 0 || matching[i] !== 0;
    if (right <= painted + 0.5 && !special) continue;   // it would be on the pixel of the one before
    painted = right;
    ++status.drawn;
    const long = Math.max(right - left, special ? 3 : 1);
    const fill = fillOf(i);
    if (long < 8 && !special) {   // small boxes of one colour side by side are one box
      if (run.fill === fill && left <= run.right + 1.5) { run.right = left + long; continue; }
      flush();
      run = {fill, left, right: left + long};
      continue;
    }
    flush();
    pen.fillStyle = fill;
    pen.fillRect(left, y, long, kBox);
    if (long < 8) continue;
    pen.strokeStyle = special ? colours.ink : colours.edge;
    pen.setLineDash(data.ret[i] === null ? [3, 3] : []);
    pen.strokeRect(left + 0.5, y + 0.5, long - 1, kBox - 1);
    if (long < 30) continue;
    pen.save();
    pen.beginPath();
    pen.rect(left, y, long - 3, kBox);
    pen.clip();
    pen.fillStyle = matching[i] || marked[i] === 2 ? colours.ground : marked[i] === 1 ? '#1c1c1c' : colours.ink;
    pen.fillText(label(i), left + 4, y + kBox / 2);
    pen.restore();
  }
  flush();
}

/// Each step of the linearization takes effect at the latest invocation up to it, which is within its interval.
const points = (() => {
  const at = new Float64Array(data.order.length);
  let latest = -Infinity;
  data.order.forEach((i, step) => { at[step] = latest = Math.max(latest, data.call[i]); });
  return at;
})();

function paintLinearization() {
  if (get('axis').value === 'version' || data.order.length === 0) return;
  const rank = get('axis').value === 'rank';
  pen.setLineDash([]);
  pen.strokeStyle = colours.path;
  pen.fillStyle = colours.path;
  pen.lineWidth = 1.5;
  pen.beginPath();
  const until = view.from + view.span;
  const pointAt = step => rank ? rankOf(points[step]) : points[step];
  const firstFrom = time => {
    let low = 0, high = data.order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      pointAt(middle) < time ? low = middle + 1 : high = middle;
    }
    return low;
  };
  const low = firstFrom(view.from);
  if (firstFrom(until) - low > 600) return;   // it would be a green field
  const dots = [];
  let lastX = -1, lastY = -1;
  for (let step = Math.max(0, low - 1); step < data.order.length; ++step) {
    const i = data.order[step], row = rowOf[data.client[i]];
    const time = pointAt(step);
    if (row >= 0 && !(get('key').value !== '' && data.key[i] !== Number(get('key').value))) {
      // Steps of one moment stand beside each other.
      let x = toX(time) + 2;
      if (x <= lastX) x = Math.min(lastX + 3, toX(axis.end[i] < axis.last ? axis.end[i] : axis.last) - 1);
      const y = kTop + row * kRow - view.top + kBox / 2;
      if (Math.abs(x - lastX) >= 1 || Math.abs(y - lastY) >= 1) {
        if (dots.length === 0) pen.moveTo(x, y); else pen.lineTo(x, y);
        dots.push(x, y);
      }
      lastX = x; lastY = y;
    }
    if (time > until) break;
  }
  pen.stroke();
  pen.lineWidth = 1;
  if (dots.length > 1200) return;
  for (let at = 0; at < dots.length; at += 2) {
    pen.beginPath();
    pen.arc(dots[at], dots[at + 1], 3, 0, 7);
    pen.fill();
  }
}

let ranks = null;
function rankOf(time) {
  if (ranks === null) {
    ranks = new Map();
    const rankBegin = axes.rank.begin;
    for (let i = 0; i < count; ++i) ranks.set(data.call[i], rankBegin[i]);
  }
  return ranks.get(time);
}

function paintScale() {
  pen.fillStyle = colours.faint;
  pen.strokeStyle = colours.line;
  pen.setLineDash([]);
  const step = Math.pow(10, Math.ceil(Math.log10(view.span / 8)));
  for (let time = Math.ceil(view.from / step) * step; time < view.from + view.span; time += step) {
    const x = Math.round(toX(time)) + 0.5;
    if (x < kGutter) continue;
    pen.beginPath();
    pen.moveTo(x, 0);
    pen.lineTo(x, canvas.clientHeight);
    pen.stroke();
    pen.fillText(Number(time.toPrecision(12)) + ' ' + axis.unit, x + 3, 9);
  }
}

function paint() {
  const started = performance.now();
  const ratio = window.devicePixelRatio || 1;
  wide = canvas.clientWidth;
  high = canvas.clientHeight;
  if (canvas.width !== Math.round(wide * ratio) || canvas.height !== Math.round(high * ratio)) {
    canvas.width = Math.round(wide * ratio);
    canvas.height = Math.round(high * ratio);
  }
  clamp();
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.fillStyle = colours.ground;
  pen.fillRect(0, 0, wide, high);
  pen.font = '12px ui-monospace, monospace';
  pen.textBaseline = 'middle';
  status.drawn = 0;
  paintScale();
  pen.save();
  pen.beginPath();
  pen.rect(kGutter, kTop - 4, wide, high);
  pen.clip();
  rows.forEach((row, at) => {
    const y = kTop + at * kRow - view.top;
    if (y > -kRow && y < high) paintRow(row, y);
  });
  paintLinearization();
  pen.restore();
  pen.setLineDash([]);
  pen.fillStyle = colours.ground;
  pen.fillRect(0, 0, kGutter - 4, high);
  pen.fillStyle = colours.ink;
  rows.forEach((row, at) => {
    const y = kTop + at * kRow - view.top + kBox / 2;
    if (y > kTop - kRow && y < high + kRow) pen.fillText(data.clients[row.client].slice(0, 15), 8, y);
  });
  status.milliseconds = performance.now() - started;
  tell();
}

/// What is on the screen, for people and for tests.
function tell() {
  get('status').textContent = status.shown + ' of ' + count + ' operations, ' + status.drawn + ' drawn in ' + status.milliseconds.toFixed(1) + ' ms';
  const failing = data.failing.filter(i => rowOf[data.client[i]] >= 0 && axis.begin[i] <= view.from + view.span && Math.min(axis.end[i], axis.last) >= view.from);
  Object.assign(document.body.dataset, {operations: count, shown: status.shown, drawn: status.drawn, matches: matches.length, failingInView: failing.length,
    axis: get('axis').value, spanOfAll: (view.span / axis.last).toFixed(4), theme: document.documentElement.className || 'light'});
}

// --- what is under the pointer ---

function under(x, y) {
  const row = rows[Math.floor((y - kTop + view.top) / kRow)];
  if (row === undefined || x < kGutter) return -1;
  const slack = view.span / width() * 3, time = toTime(x);
  for (let at = firstVisible(row.list, time - slack); at < row.list.length && axis.begin[row.list[at]] <= time + slack; ++at)
    if (axis.end[row.list[at]] + slack >= time) return row.list[at];
  return -1;
}

function describe(i) {
  const lines = [label(i), 'client ' + data.clients[data.client[i]] + (data.keys.length > 1 ? ', key ' + data.keys[data.key[i]] : '')];
  lines.push('from ' + data.call[i] + (data.ret[i] === null ? ', outcome unknown' : ' to ' + data.ret[i]) + ' ' + data.unit);
  if (data.version[i] !== null) lines.push('version ' + data.version[i]);
  if (place[i] >= 0) {
    lines.push((refuted ? 'step ' : 'linearized as ') + (place[i] + 1) + ' of ' + data.order.length + (refuted ? ' of the longest partial linearization' : ''));
    const state = data.states[data.state[place[i]]];
    if (state) lines.push('then the state is ' + state);
  } else if (refuted && data.order.length !== 0) {
    lines.push('not in the longest partial linearization');
  }
  if (marked[i] === 2) lines.push('nothing explains this: ' + data.reason);
  if (marked[i] === 1) lines.push('one of those that contradict each other');
  return lines.join('\n');
}

function hover(event) {
  const box = canvas.getBoundingClientRect();
  const i = under(event.clientX - box.left, event.clientY - box.top);
  const tip = get('hover');
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.textContent = describe(i);
  tip.style.left = Math.min(event.clientX + 14, window.innerWidth - tip.offsetWidth - 8) + 'px';
  tip.style.top = Math.min(event.clientY + 14, window.innerHeight - tip.offsetHeight - 8) + 'px';
}

// --- controls ---

function search(text) {
  const wanted = text.trim().toLowerCase();
  matching = new Uint8Array(count);
  matches = [];
  match = -1;
  if (wanted !== '') {
    const fits = data.labels.map(it => it.toLowerCase().includes(wanted));
    for (let i = 0; i < count; ++i) if (fits[data.label[i]]) { matching[i] = 1; matches.push(i); }
    matches.sort((a, b) => data.call[a] - data.call[b]);
  }
  get('matches').textContent = wanted === '' ? '' : matches.length + ' found';
  draw();
}

function step(by) {
  if (matches.length === 0) return;
  match = (match + by + matches.length) % matches.length;
  get('matches').textContent = (match + 1) + ' of ' + matches.length;
  goTo(matches[match]);
}

function options(select, names, all) {
  select.add(new Option(all, ''));
  names.forEach((name, at) => select.add(new Option(name, at)));
}

function theme(dark) {
  document.documentElement.className = dark ? 'dark' : '';
  readColours();
  draw();
}

const keys = {
  ArrowLeft: () => { view.from -= view.span * 0.2; draw(); },
  ArrowRight: () => { view.from += view.span * 0.2; draw(); },
  ArrowUp: () => { view.top -= kRow; draw(); },
  ArrowDown: () => { view.top += kRow; draw(); },
  '+': () => zoom(0.6, kGutter + width() / 2),
  '=': () => zoom(0.6, kGutter + width() / 2),
  '-': () => zoom(1 / 0.6, kGutter + width() / 2),
  '0': fit,
  f: () => { if (refuted) goTo(data.failing[0]); },
  n: () => step(1),
  N: () => step(-1),
  d: () => theme(document.documentElement.className !== 'dark'),
  t: () => { const it = get('axis'); it.selectedIndex = (it.selectedIndex + 1) % it.length; it.onchange(); },
  '/': () => get('search').focus(),
};

function listen() {
  get('axis').onchange = () => { layOut(); fit(); };
  get('key').onchange = get('client').onchange = () => { layOut(); draw(); };
  get('search').oninput = () => search(get('search').value);
  get('search').onkeydown = event => { if (event.key === 'Enter') { step(event.shiftKey ? -1 : 1); canvas.focus(); } };
  get('next').onclick = keys.n;
  get('previous').onclick = keys.N;
  get('fit').onclick = fit;
  get('failing').onclick = keys.f;
  get('dark').onclick = keys.d;
  document.addEventListener('keydown', event => {
    if (event.target.matches('input, select') || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  canvas.addEventListener('wheel', event => {
    event.preventDefault();
    if (event.shiftKey) { view.top += event.deltaY || event.deltaX; return draw(); }
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) { view.from += event.deltaX / width() * view.span; return draw(); }
    zoom(Math.pow(1.0015, event.deltaY), event.clientX - canvas.getBoundingClientRect().left);
  }, {passive: false});
  let grip = null;
  canvas.addEventListener('pointerdown', event => { grip = event; canvas.setPointerCapture(event.pointerId); canvas.focus(); });
  canvas.addEventListener('pointerup', () => { grip = null; });
  canvas.addEventListener('pointermove', event => {
    if (grip === null) return hover(event);
    view.from -= (event.clientX - grip.clientX) / width() * view.span;
    view.top -= event.clientY - grip.clientY;
    grip = event;
    draw();
  });
  canvas.addEventListener('pointerleave', () => { get('hover').hidden = true; });
  window.addEventListener('resize', draw);
}

/// The fragment of the address sets the view: #axis=real&key=x&search=write&zoom=8&failing&dark&hover=7&press=ff
function follow(fragment) {
  const wish = new URLSearchParams(fragment.replace(/^#/, ''));
  for (const [id, names] of [['key', data.keys], ['client', data.clients]])
    if (wish.has(id)) get(id).value = String(names.indexOf(wish.get(id)));
  if (wish.has('axis') && makers[wish.get('axis')]) get('axis').value = wish.get('axis');
  layOut();
  fit();
  if (wish.has('search')) { get('search').value = wish.get('search'); search(wish.get('search')); step(1); }
  if (wish.has('failing')) keys.f();
  if (wish.has('zoom')) zoom(1 / Math.max(1e-3, Number(wish.get('zoom')) || 1), kGutter + width() / 2);
  if (wish.has('dark')) theme(true);
  if (wish.has('hover')) { const tip = get('hover'); tip.hidden = false; tip.textContent = describe(Number(wish.get('hover')) || 0); tip.style.left = '40%'; tip.style.top = '50%'; }
  for (const key of wish.get('press') || '') document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true, cancelable: true}));
}

function begin() {
  document.title = data.title;
  get('title').textContent = data.title;
  get('verdict').textContent = data.verdict + (data.reason === '' ? '' : ': ' + data.reason);
  get('verdict').className = refuted ? 'bad' : '';
  get('why').hidden = data.explanation === '';
  get('explanation').textContent = data.explanation;
  get('failing').hidden = !refuted;
  if (data.version.every(it => it === null)) get('axis').options[2].remove();
  options(get('key'), data.keys, 'all keys');
  options(get('client'), data.clients, 'all clients');
  axes.rank = rankAxis();
  theme(matchMedia('(prefers-color-scheme: dark)').matches);
  listen();
  follow(location.hash);
  if (refuted && location.hash === '') goTo(data.failing[0]);
  paint();   // at once: a page that is loaded shows its history, also where no frame comes (a tab in the background, a browser without a screen)
}

begin();
